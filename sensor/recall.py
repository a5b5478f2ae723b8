# SPDX-License-Identifier: Apache-2.0
"""What a sensor must know to go on where another was killed, and that it is told no second time.

Crossings and sessions, containers, events that wait for a description, losses that were told, and how far the ring
was read: all that changed is kept in the very transaction that keeps the events which followed from it. So a kill at
any moment leaves both or neither, and the next sensor reads on from there. It is of one boot and of one ring, and
void with any other.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgpack

from sensor import waiting
from sensor.enrich import kept as kept_containers
from sensor.enrich import procfs
from sensor.enrich.containers import Containers
from sensor.enrich.known import Known
from sensor.entry import kept as kept_crossings
from sensor.entry.crossing import Crossing
from sensor.entry.report import Reporter
from sensor.entry.track import Tracker
from sensor.probe.ring import Ring
from sensor.waiting import Incomplete, Waiting

VERSION: Final = 3
"""Of the form of all that is kept. What another version kept is void."""
HERE_NS: Final = 30_000_000_000
"""How often it is kept that the sensor runs, where nothing else is to be kept. Nanoseconds."""
_PLACE: Final = "place"
_CROSSING, _CONTAINER, _WAITING = "crossing/", "container/", "waiting/"

_log: Final = logging.getLogger(__name__)

Rows = dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sensor before was when it kept something last."""

    boot: str
    ring: int | None
    """The ring's map, by the number that the kernel gave it; None without one that outlives the sensor."""
    position: int
    pid: int
    start: int
    time: int
    told: dict[str, int] = field(default_factory=dict)
    """Losses that were told, by the kernel's counter."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was taken over."""

    containers: list[Known]
    told: dict[str, int]


class Recall:
    """Keeps, and takes over. On the probe's thread."""

    def __init__(
        self, boot: str, tracker: Tracker, reporter: Reporter, containers: Containers, waiting: Waiting
    ) -> None:
        self._boot = boot
        self._tracker = tracker
        self._reporter = reporter
        self._containers = containers
        self._waiting = waiting
        self._own = (os.getpid(), procfs.stat_start(os.getpid()) or 0)
        self._void: set[str] = set()
        self._kept_at = 0
        self.before: Place | None = None
        """Where the sensor before was; None without one."""

    def take_over(self, rows: Mapping[str, bytes], ring: Ring | None) -> Recalled | None:
        """Go on where these were kept, the ring included; None where they are of another boot or ring."""
        self._void = set(rows)
        self.before = _place(rows.get(_PLACE))
        before = self.before
        if before is None or ring is None or (before.boot, before.ring) != (self._boot, ring.identity):
            return None
        if before.position > ring.produced:
            return None
        try:
            crossings = [kept_crossings.unpack(row) for row in _below(_CROSSING, rows).values() if row]
            given_up = [int(name) for name, row in _below(_CROSSING, rows).items() if not row]
            containers = [kept_containers.unpack(row) for row in _below(_CONTAINER, rows).values()]
            waits = {name: waiting.unpack(row) for name, row in _below(_WAITING, rows).items()}
        except ValueError as error:
            _log.error("what the sensor before kept cannot be read: %s", error)
            return None
        self._tracker.recall(kept_crossings.join(crossings), given_up)
        for one in crossings:
            self._reporter.recall(one.crossing.cookie, one.session, one.entered_by)
        for known, witnesses in containers:
            self._containers.recall(known, witnesses)
        for container, events in waits.items():
            for event in events:
                self._waiting.add(container, event)
        ring.seek(before.position)
        self._void = set()
        return Recalled([known for known, _ in containers], dict(before.told))

    def changes(self, ring: Ring | None, told: Mapping[str, int], *, events: bool, everything: bool) -> Rows:
        """What to keep now with the `events` that wait, if any do: nothing where nothing changed.

        `everything`: whatever was kept is gone.
        """
        crossings = self._tracker.changed(everything=everything)
        containers = self._containers.changed(everything=everything)
        waits = self._waiting.changed(everything=everything)
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        rows: Rows = dict.fromkeys(self._void)
        if ring is not None:
            for cookie, crossing in crossings.items():
                rows[f"{_CROSSING}{cookie}"] = self._crossing(cookie, crossing)
            for named, found in containers.items():
                rows[f"{_CONTAINER}{named}"] = None if found is None else kept_containers.pack(*found)
            for container, incomplete in waits.items():
                rows[f"{_WAITING}{container}"] = self._incomplete(incomplete)
        if not rows and not (events and ring is not None) and now - self._kept_at < HERE_NS:
            return {}
        self._void = set()
        self._kept_at = now
        identity, position = (None, 0) if ring is None else (ring.identity, ring.position)
        place = [VERSION, self._boot, identity, position, *self._own, time.time_ns(), dict(told)]
        rows[_PLACE] = bytes(msgpack.packb(place))
        return rows

    def _crossing(self, cookie: int, crossing: Crossing | None) -> bytes | None:
        if crossing is not None:
            return kept_crossings.pack(crossing, *self._reporter.begun(cookie))
        return b"" if self._tracker.is_given_up(cookie) else None

    def _incomplete(self, events: list[Incomplete]) -> bytes | None:
        if not events:
            return None
        return waiting.pack(events, {one.id for one in events if self._reporter.is_open(one.id)})


def _below(prefix: str, rows: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix(prefix): row for name, row in rows.items() if name.startswith(prefix)}


def _place(row: bytes | None) -> Place | None:
    if row is None:
        return None
    try:
        match msgpack.unpackb(row):
            case [3, str(boot), ring, int(position), int(pid), int(start), int(time_), dict(told)]:
                return Place(boot, ring, position, pid, start, time_, told)
    except (ValueError, msgpack.exceptions.UnpackException):
        pass
    _log.warning("what the sensor before kept is of another version: it is not taken over")
    return None
