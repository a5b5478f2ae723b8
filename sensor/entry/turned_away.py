# SPDX-License-Identifier: Apache-2.0
"""Programs that began in a mount namespace of no container: whose it is may show a moment later.

A user's runtime executes itself in there before its container can be told by anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sensor.entry.crossing import Started

WAIT_S: Final = 1.0
"""How long after it /proc is looked through for containers. At most once in that time, whatever begins."""
MAX_KEPT: Final = 4096
"""Of more at once, a container among them is found by the next look at all, without a start."""


class TurnedAway:
    """The first programs, by mount namespace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[int, Started] = {}
        self._due = 0.0

    def take(self, outcome: Started) -> None:
        """It is none of a container, as far as can be told now."""
        if not self._kept:
            self._due = self._clock() + WAIT_S
        if len(self._kept) < MAX_KEPT:
            self._kept[outcome.event.task.ns.mnt] = outcome

    def due(self) -> dict[int, Started]:
        """Those that are to be looked at again now, once it is time; each once."""
        if not self._kept or self._clock() < self._due:
            return {}
        kept, self._kept = self._kept, {}
        return kept
