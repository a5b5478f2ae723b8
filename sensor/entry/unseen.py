# SPDX-License-Identifier: Apache-2.0
"""When a session that flooded is over: not all of its processes were told, but the kernel knows who lives. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sensor.entry.crossing import Crossing

Followed = Callable[[], set[int] | None]
"""Cookies of the crossings that a live task carries; None when it cannot be told now."""


class Unseen:
    """Remembers which such crossings had no live task when it looked last."""

    def __init__(self) -> None:
        self._empty: set[int] = set()

    def gone(self, crossings: Collection[Crossing], followed: Followed) -> set[int]:
        """Cookies of those that have, as last time, no live task: an event may wait in the ring meanwhile."""
        emptied = {crossing.cookie for crossing in crossings if crossing.unseen and not crossing.live}
        living = followed() if emptied else set()
        if living is None:
            return set()
        held = {
            around.cookie
            for crossing in crossings
            if crossing.cookie in living
            for around in crossing.around()
        }
        empty = emptied - held
        gone, self._empty = empty & self._empty, empty
        return gone
