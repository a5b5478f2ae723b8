# SPDX-License-Identifier: Apache-2.0
"""Readings of an event that are made once, though many rules ask for them, and again with each later event.

An event never changes, so that what was read of it stands as long as it is the same object: one that has learned
more is another. What is remembered is bounded by number, and a long command line is remembered only while it is the
latest: whoever is inside a container chooses how long they are.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.detect.rule import Event

T = TypeVar("T")

MOST: Final = 1024
"""Events of which a reading is remembered: twice what is looked back on of one visit (`visits.KEPT`)."""
LONG: Final = 8192
"""Characters of a command line; a longer one is remembered only until the next one."""


class once(Generic[T]):  # noqa: N801 - a decorator
    """`@once` before a function of one event: it is called once for each event, as far as it is remembered."""

    def __init__(self, read: Callable[[Event], T]) -> None:
        update_wrapper(self, read)
        self._read = read
        self._kept: dict[int, tuple[Event, T]] = {}
        self._long: tuple[Event, T] | None = None

    def __call__(self, event: Event) -> T:
        """What `read(event)` returns."""
        # By identity: an event is no key, and what is kept holds it, so that its identity is not given away.
        kept = self._kept.get(id(event))
        if kept is not None and kept[0] is event:
            return kept[1]
        if self._long is not None and self._long[0] is event:
            return self._long[1]
        made = self._read(event)
        if _length(event) > LONG:
            self._long = (event, made)
            return made
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[id(event)] = (event, made)
        return made


def _length(event: Event) -> int:
    process = event.get("process")
    return sum(map(len, process["argv"] or ())) if process is not None else 0
