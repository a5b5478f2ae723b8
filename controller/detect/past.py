# SPDX-License-Identifier: Apache-2.0
"""What rules look back on beyond the visit at hand: earlier visits of the fleet, and what was found in them.

It is asked of the store (`store.visitors`), so it survives a restart, costs no memory, and knows what was there
before the rule was written. Every question is bounded: by a time, and by MOST of what is found.

    seen = visit.past.visits(within=10 * MINUTE, principal="jane")     thresholds: len(seen), their containers
    visit.past.found("copy_in", within=HOUR, container=id)             sequences: first that, now this
    visit.past.first(principal="jane", namespace="shop")               first seen: never before
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST: Final = 1000
"""Visits that one question brings at most, the latest."""
MINUTE: Final = 60 * 10**9
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
SAME: Final = ("principal", "host", "container", "image", "namespace", "means")
"""By what visits are the same: attributes of PastVisit."""


class PastVisit(NamedTuple):
    """A visit as it is remembered: no probe, and not what was done in it. Time in ns, ids as in events."""

    session: str
    time: int
    host: str
    principal: str | None
    means: str
    container: str | None
    image: str | None
    namespace: str | None
    found: tuple[str, ...] = ()
    """Detections that fired in it, alerted or withheld. Only what rehearses a past fills this in."""


class Past:
    """A past that is given: none by default, the one of an example in tests. Asked at one visit's time."""

    def __init__(self, session: str = "", time: int = 0, visits: Sequence[PastVisit] = ()) -> None:
        self._session, self._time = session, time
        self._visits = visits

    def visits(self, *, within: int, **same: str | None) -> tuple[PastVisit, ...]:
        """Visits of the last `within` ns, this one among them, oldest first; with the values of `same`."""
        begin = self._time - within
        return tuple(
            each for each in self._visits if begin < each.time <= self._time and matches(each, same)
        )[-MOST:]

    def found(self, detection: str, *, within: int, **same: str | None) -> bool:
        """Whether a detection fired within the last `within` ns in another visit with the values of `same`."""
        return any(
            detection in each.found and each.session != self._session
            for each in self.visits(within=within, **same)
        )

    def first(self, **same: str | None) -> bool:
        """Whether no visit before this one had the values of `same`, ever."""
        earlier = (each for each in self._visits if each.time <= self._time and each.session != self._session)
        return not any(matches(each, same) for each in earlier)


NO_PAST: Final = Past()


def checked(same: dict[str, str | None]) -> dict[str, str | None]:
    """`same`, if a visit has all of it. ValueError: it has no such attribute."""
    if unknown := set(same) - set(SAME):
        raise ValueError(
            f"visits are not compared by {', '.join(sorted(unknown))}: there are {', '.join(SAME)}"
        )
    return same


def matches(visit: PastVisit, same: dict[str, str | None]) -> bool:
    """Whether the visit has the values of `same`. ValueError as `checked`."""
    return all(getattr(visit, name) == value for name, value in checked(same).items())
