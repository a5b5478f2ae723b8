# SPDX-License-Identifier: Apache-2.0
"""The forms that an item can be told in, each as one line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.export import cef, ecs, ocsf
from controller.export.item import line, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.export.item import Item

FORMATS: Final[dict[str, Callable[[Item], str]]] = {
    "json": lambda item: line(plain(item)),
    "ocsf": lambda item: line(ocsf.encode(item)),
    "ecs": lambda item: line(ecs.encode(item)),
    "cef": cef.encode,
}
