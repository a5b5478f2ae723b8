# SPDX-License-Identifier: Apache-2.0
"""Globs: * stands for any characters, ? for one, all others for themselves. In time linear in text times pattern.

Not fnmatch: its brackets are one more way to write what was not meant, and its regular expressions can be made
slow by whoever chooses the text.
"""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` is of the pattern; case counts."""
    at, star, mark = 0, -1, 0
    position = 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", text[position]}:
            at += 1
            position += 1
        elif star >= 0:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")
