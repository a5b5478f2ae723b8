# SPDX-License-Identifier: Apache-2.0
"""The expression that a person begins with who wants no alert of what is like this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

WHERE: Final = ("container.image", "container.name", "host")
"""The first of these that is known says where: an image outlives its containers."""
HOW: Final = ("means", "principal")


def like(values: Mapping[str, str | None]) -> str:
    """The fields of `values` that are known, as conditions; "" where nothing says where.

    It is a proposal: narrow enough to hide no other image, way in or principal.
    """
    where = next((name for name in WHERE if values.get(name)), None)
    if where is None:
        return ""
    named = [where, *(name for name in HOW if values.get(name))]
    return " and ".join(f"{name} == {_quoted(values[name] or '')}" for name in named)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
