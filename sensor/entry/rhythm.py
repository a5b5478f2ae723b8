# SPDX-License-Identifier: Apache-2.0
"""When a declared check is due: whoever runs its very command at another time is not taken for it. Pure.

Docker and podman wait a period after a check has ended, so no two begin closer together. The kubelet begins its
probes by a clock that goes on while one runs: one that is late does not delay those after it, and the time from
tick to exec varies by how busy the host is. A run in between is not due; one that comes just before a check
makes that check come too early. So of one too many runs one is told, whichever it is.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sensor.enrich.facts import Pace
from sensor.enrich.inside import Own
from sensor.enrich.known import Known

MAX_CHECKS: Final = 16384
"""Checks of which the last run is remembered; beyond it the longest unused is forgotten."""
LATE_PART: Final = 4
"""A tick's run may come earlier than the last one by this part of its period, which was late itself, ..."""
LATE_NS: Final = 500_000_000
"""... or by this much, where that is more."""


_Key = tuple[str, int, int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Run:
    at: int
    due: int


class Rhythm:
    """The last run of each check of each container, and when the next is due."""

    def __init__(self) -> None:
        self._runs: OrderedDict[_Key, _Run] = OrderedDict()

    def admits(self, known: Known, number: int, check: Own, now: int) -> bool:
        """Whether check `number` of a container is due at `now`, nanoseconds since boot; it has run then.

        The first run of one that the container before did not declare is not.
        """
        pace = check.pace
        key = (known.id, known.init_start, number, check.argv)
        last = self._runs.get(key)
        if last is None:
            self._ran(key, now, now + _period(pace, now - known.init_start))
            return not known.changed
        if pace.once:
            return False
        period = _period(pace, now - known.init_start)
        slack = max(period // LATE_PART, min(LATE_NS, period // 2)) if pace.ticks else 0
        if now < last.at:
            # Decided late, for its container was not known before: those after it were decided already.
            return last.at - now >= period - slack
        # Where the period has become shorter since (a beginning that went on longer), it counts.
        due = last.due if pace.ticks else min(last.due, last.at + period)
        if now < due - slack:
            return False
        self._ran(key, now, (max(due, now - period) if pace.ticks else now) + period)
        return True

    def _ran(self, key: _Key, now: int, due: int) -> None:
        self._runs[key] = _Run(now, due)
        self._runs.move_to_end(key)
        if len(self._runs) > MAX_CHECKS:
            self._runs.popitem(last=False)


def _period(pace: Pace, age: int) -> int:
    """The period that holds in a container of this age."""
    begins = pace.first_for and age < pace.first_for + pace.first_period
    return min(pace.period, pace.first_period) if begins else pace.period
