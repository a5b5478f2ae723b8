# SPDX-License-Identifier: Apache-2.0
"""The words of an expression, each with its place, and the error that points at one."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from sensor.wire import printable

MAX_TEXT: Final = 2000
"""Characters of an expression."""

Kind = Literal["name", "text", "number", "sign", "word", "end"]
WORDS: Final = frozenset(
    {"and", "or", "not", "in", "like", "contains", "within", "is", "known", "unknown", "true", "false"}
)
_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<text>"(?:[^"\\]|\\["\\])*")
  | (?P<number>-?\d+(?![\w.]))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\["(?:[^"\\]|\\["\\])*"\])*)
  | (?P<sign>==|!=|<=|>=|<|>|\(|\)|,)
    """,
    re.VERBOSE,
)


class ExpressionError(ValueError):
    """An expression that cannot be used. Its text is the reason, the expression, and a mark below the place."""

    def __init__(self, reason: str, text: str, at: int, length: int = 1) -> None:
        self.reason, self.at = reason, at
        shown = "".join(char if printable(char) == char else " " for char in text)
        super().__init__(f"{reason}\n  {shown}\n  {' ' * at}{'^' * max(1, length)}")


class Token(NamedTuple):
    """One word: `value` is what it means (of a text without quotes), `at` and `length` where it stands."""

    kind: Kind
    value: str
    at: int
    length: int


def tokens(text: str) -> list[Token]:
    """The words of `text`, an "end" last. ExpressionError: a character that begins none."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"an expression has at most {MAX_TEXT} characters", text[:60] + "...", 0)
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(_why(text, at), text, at)
        if match.lastgroup != "space":
            found.append(_token(str(match.lastgroup), match[0], at))
        at = match.end()
    return [*found, Token("end", "", len(text), 1)]


def _token(group: str, raw: str, at: int) -> Token:
    if group == "text":
        return Token("text", re.sub(r"\\(.)", r"\1", raw[1:-1]), at, len(raw))
    if group == "name" and raw in WORDS:
        return Token("word", raw, at, len(raw))
    kinds: dict[str, Kind] = {"name": "name", "number": "number", "sign": "sign"}
    return Token(kinds[group], raw, at, len(raw))


def _why(text: str, at: int) -> str:
    char = text[at]
    if char == '"':
        return 'a text that does not end: it stands in double quotes, and \\" is a quote inside'
    if char == "'":
        return "texts stand in double quotes"
    if char == "=":
        return "equality is ==, with two signs"
    if char in "&|!":
        return "write and, or, not in words"
    if char.isdigit() or char == "-":
        return "numbers are whole"
    return f"{printable(char)!r} means nothing here"
