# SPDX-License-Identifier: Apache-2.0
"""Renders the ADS documents of the detections.

markdown-it-py with raw HTML off: it escapes all HTML, and refuses `javascript:`, `data:`, `file:` and
`vbscript:` addresses. Two things are taken away besides: images, which would load from elsewhere, and the
inline `style` of aligned table cells, which our content security policy forbids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markupsafe import Markup

from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

_HEADING_SHIFT = 2
"""A document's own title becomes an <h3>: it stands inside a page that has <h1> and <h2>."""

_parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def render(text: str) -> Markup:
    """The document as HTML that is safe to put into a page."""
    tokens = _parser.parse(text)
    for token in _flat(tokens):
        _tame(token)
    return Markup(_parser.renderer.render(tokens, _parser.options, {}))  # noqa: S704 - see the module's docstring


def inline(text: str) -> Markup:
    """One paragraph of such a document, without the paragraph."""
    tokens = _parser.parseInline(wire.printable(text))
    for token in _flat(tokens):
        _tame(token)
    return Markup(_parser.renderer.render(tokens, _parser.options, {}))  # noqa: S704 - as above


def sections(text: str) -> dict[str, str]:
    """The document's parts by second-level heading, without it; "" is what comes before the first."""
    parts: dict[str, str] = {"": ""}
    name = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("## "):
            name = line[3:].strip()
            parts[name] = ""
        else:
            parts[name] += line
    return parts


def _flat(tokens: Sequence[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *_flat(token.children or ()))]


def _tame(token: Token) -> None:
    token.attrs.pop("style", None)
    if token.type in {"heading_open", "heading_close"}:
        token.tag = f"h{min(int(token.tag[1]) + _HEADING_SHIFT, 6)}"
    elif token.type == "link_open":
        token.attrs["rel"] = "noopener noreferrer"
