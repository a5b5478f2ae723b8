# SPDX-License-Identifier: Apache-2.0
"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations

from typing import Final


def printable(text: str) -> str:
    """`text` with every character that could steer a terminal or hide in a page made visible as an escape.

    Covers C0 and C1 controls, DEL, bidirectional controls, zero-width characters and lone surrogates.
    """
    return "".join(c if c.isprintable() and c not in _INVISIBLE else _escape(c) for c in text)


_INVISIBLE: Final = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u2800\u3164")


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
