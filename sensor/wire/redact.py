# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of command lines before anything is stored or sent.

A command line is read as its program would read it, word by word, and each argument that holds blanks (the
script of a `sh -c`) again as a command line of its own. Too much may be taken out; a secret that announces
itself in no way stays, and an operator's own patterns are for those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sensor.wire import secret_shapes
from sensor.wire.secret_shapes import Form, announces

MASK: Final = "***"
MAX_DEPTH: Final = 3
"""Of scripts inside scripts: sh -c 'sh -c "..."'."""

_ASSIGNED: Final = re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)[\"']?[ \t]{0,3}[=:][ \t]{0,3}")
_VALUE: Final = re.compile(r"\"[^\"]*+\"|'[^']*+'|[\"']?[^\s\"'&;|<>]++")
_OPTION: Final = re.compile(r"--?(?P<name>[A-Za-z][\w.-]{2,})(?P<value>=.*)?", re.DOTALL)
_LOOKS_LIKE_OPTION: Final = re.compile(r"-[A-Za-z]|--[A-Za-z][\w-]*(=.*)?", re.DOTALL)
_WORD: Final = re.compile(r"(?:[^\s\"';|&()<>]|\"[^\"]*+\"|'[^']*+')+|[\"']")
_BARE_WORD: Final = re.compile(r"[^\s\"';|&()<>]++")
_KEEPING: Final = (
    secret_shapes.HEADER,
    secret_shapes.BEARER,
    secret_shapes.URL,
    secret_shapes.URL_TOKEN,
    secret_shapes.PASS_ARGUMENT,
)


class Redactor:
    """Redacts with the built-in rules and with an operator's patterns.

    A pattern's groups are what is replaced, the whole match where it has none. Raises ValueError for a
    pattern that is no regular expression, or that matches nothing at all.
    """

    def __init__(self, extra_patterns: Iterable[str] = ()) -> None:
        self._extra: list[re.Pattern[str]] = []
        for pattern in extra_patterns:
            try:
                compiled = re.compile(pattern)
            except re.error as error:
                raise ValueError(f"redact pattern {pattern!r} is no regular expression: {error}") from error
            if compiled.match("") is not None:
                raise ValueError(
                    f"redact pattern {pattern!r} matches the empty text: it would match everywhere"
                )
            self._extra.append(compiled)

    def argv(self, arguments: list[str]) -> tuple[list[str], bool]:
        """The arguments with `***` in the place of secrets, and whether there were any."""
        redacted = self._words(arguments, 0)
        return redacted, redacted != arguments

    def text(self, text: str) -> str:
        """A text that is no list of arguments, such as a command that is told as one string."""
        return self._script(text, 0)

    def _words(self, arguments: list[str], depth: int) -> list[str]:
        """One command line. `options` are those of the last program that was named: `sudo mysql -px`."""
        options: dict[str, Form] = {}
        pending: Form | None = None
        redacted: list[str] = []
        for argument in arguments:
            if pending is not None and not _LOOKS_LIKE_OPTION.fullmatch(argument):
                redacted.append(_pair(argument) if pending == "pair" else MASK)
                pending = None
                continue
            word, pending = _option(argument, options)
            if word == argument:
                word = self._script(argument, depth)
            redacted.append(word)
            options = secret_shapes.OPTIONS.get(argument.rsplit("/", 1)[-1], options)
        return redacted

    def _script(self, text: str, depth: int) -> str:
        """Any one argument: as a text, and as a command line where it holds several words."""
        if depth == 0:  # what lies deeper is a part of this text
            text = self._shapes(text)
        if depth >= MAX_DEPTH or not any(blank in text for blank in " \t\n"):
            return text
        text = self._reread(text, _quoted_words(text), depth)
        if depth == 0:
            # Quotes inside quotes can be written in more ways than are read: once more as if there were none.
            text = self._reread(text, [match.span() for match in _BARE_WORD.finditer(text)], MAX_DEPTH)
        return text

    def _reread(self, text: str, spans: list[tuple[int, int]], depth: int) -> str:
        """`text` with the words at `spans` redacted as one command line."""
        words = [text[begin:end] for begin, end in spans]
        pieces: list[str] = []
        at = 0
        for (begin, end), old, new in zip(spans, words, self._words(words, depth + 1), strict=True):
            if new != old:
                pieces += [text[at:begin], new]
                at = end
        return "".join([*pieces, text[at:]])

    def _shapes(self, text: str) -> str:
        for pattern in secret_shapes.VALUES:
            text = pattern.sub(MASK, text)
        for pattern in _KEEPING:
            text = pattern.sub(rf"\g<keep>{MASK}", text)
        for pattern in self._extra:
            text = pattern.sub(_groups_masked, text)
        return _assignments(text)


def _option(argument: str, options: dict[str, Form]) -> tuple[str, Form | None]:
    """An argument as an option that takes a secret, and whether the next argument is that secret."""
    for option, form in options.items():
        if argument == option and form != "attached":
            return argument, "pair" if form == "pair" else "separate"
        long = option.startswith("--")
        attached = argument.removeprefix(f"{option}=" if long else option)
        if (
            attached != argument
            and attached
            and form != "separate"
            and (long or not argument.startswith("--"))
        ):
            kept = argument[: len(argument) - len(attached)]
            return kept + (_pair(attached) if form == "pair" else MASK), None
    match = _OPTION.fullmatch(argument)
    if match is None or not announces(match["name"]):
        return argument, None
    if match["value"] is None:
        return argument, "separate"
    return argument[: match.start("value") + 1] + MASK, None


def _pair(text: str) -> str:
    """user:secret or user%secret, of which the user may be seen."""
    user, separator, secret = text.partition("%" if "%" in text and ":" not in text else ":")
    return f"{user}{separator}{MASK}" if secret else text


def _assignments(text: str) -> str:
    """NAME=value, "name": "value", Name: value, ?name=value, wherever the name announces a secret."""
    pieces: list[str] = []
    at = position = 0
    while (match := _ASSIGNED.search(text, position)) is not None:
        position = match.end()
        if not announces(match["name"]):
            continue
        value = _VALUE.match(text, position)
        if value is not None and value[0] != MASK:
            pieces += [text[at:position], MASK]
            at = position = value.end()
    return "".join([*pieces, text[at:]])


def _groups_masked(match: re.Match[str]) -> str:
    text = match[0]
    if match.re.groups == 0:
        return MASK
    # From the last to the first, so that the places of those before stay right.
    spans = sorted({match.span(group) for group in range(1, match.re.groups + 1)}, reverse=True)
    limit = match.end()
    for begin, end in spans:
        if 0 <= begin < end <= limit:
            text = text[: begin - match.start()] + MASK + text[end - match.start() :]
            limit = begin
    return text


def _quoted_words(text: str) -> list[tuple[int, int]]:
    """Where the words of a shell's line stand, without the quotes around a whole word."""
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        begin, end = match.span()
        if end - begin >= 2 and text[begin] in "\"'" and text[end - 1] == text[begin]:
            begin, end = begin + 1, end - 1
        spans.append((begin, end))
    return spans
