# SPDX-License-Identifier: Apache-2.0
"""How text and values from events are shown: escaped for HTML, and with nothing in it that hides or steers.

Everything that an event holds was chosen by somebody who may be hostile, so each of these functions takes any
string at all. They return Markup, which Jinja does not escape again.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPE = Markup('<span class="esc">{}</span>')


def show(value: object) -> Markup:
    r"""`value` as HTML text; what could steer or hide stands as a marked escape such as \x1b."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return escape(text)
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterable[Markup]:
    plain: list[str] = []
    for char in text:
        seen = wire.printable(char)
        if seen == char:
            plain.append(char)
            continue
        yield escape("".join(plain))
        plain.clear()
        yield _ESCAPE.format(seen)
    yield escape("".join(plain))


def show_lines(value: object) -> Markup:
    """As `show`, but a newline stays one: for text that a person wrote, and for JSON."""
    return Markup("\n").join(show(line) for line in str(value).replace("\r\n", "\n").split("\n"))


def command_line(argv: Iterable[str]) -> str:
    """The arguments as one line, quoted so that it shows where each begins and ends."""
    return " ".join(shlex.quote(argument) for argument in argv)


def show_json(value: object) -> Markup:
    """`value` as indented JSON that can be copied anywhere: what does not print stands as a JSON escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return escape(text)
    return escape("".join(c if c == "\n" or wire.printable(c) == c else _json_escape(c) for c in text))


def _json_escape(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"
