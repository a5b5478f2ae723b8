# SPDX-License-Identifier: Apache-2.0
"""What containers do of themselves: the first of its kind at once, its like as counts, losses by container."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sensor.enrich.known import Known
from sensor.entry.lineage import Redact
from sensor.entry.programs import Programs
from sensor.probe.decoding import Undecodable
from sensor.probe.ordinary import EXEC, OTHERS, Ordinary, OrdinaryLane, decode, mount_of
from sensor.wire import MAX_ARGS, MAX_TEXT, Activity, Event, Loss

MAX_RECORDS: Final = 4096
"""Kinds of activity that are known at once; what is new beyond that is counted, and not told."""
_PATIENCE_NS: Final = 10_000_000_000
"""How long a mount namespace may be of no known container: the event of its start may still wait."""
_MAX_UNKNOWN: Final = 1024
_DIGITS: Final = str.maketrans("123456789", "000000000")
LOST: Final = "kernel.lost.ordinary"
EVICTED: Final = "ordinary.evicted"
"""Counts the kinds that the kernel's map forgot for want of room; done again, each is told as new."""


@dataclass(slots=True)
class _Record:
    """One kind of activity, and how far it was counted."""

    event: Activity
    counted: int = 0
    """What the kernel's count of it was at the last collection."""


class Activities:
    """Turns the ordinary lane into events of the wire. On the probe's thread."""

    def __init__(
        self,
        at_mount: Callable[[int], Known | None],
        next_id: Callable[[], str],
        emit: Callable[[Event], None],
        redact: Redact,
        wall: Callable[[int], int],
        count: Callable[[str], None],
        programs: Programs | None = None,
    ) -> None:
        self._programs = programs
        self._at_mount = at_mount
        self._next_id = next_id
        self._emit = emit
        self._redact = redact
        self._wall = wall
        self._count = count
        self._records: dict[bytes, _Record] = {}
        self._unknown: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._names: dict[int, str] = {}
        """Whose mount namespace it was: what a container lost may be read when it is gone."""
        self._gone: set[int] = set()
        """Mount namespaces that were of no running container at the last collection."""

    def told(self) -> dict[str, int]:
        """The losses that were told, each container's by the number of its mount namespace."""
        return {f"{LOST}/{mnt}": count for mnt, count in self._lost.items()}

    def go_on(self, told: Mapping[str, int]) -> None:
        """Tell none of these again: the inverse of `told`."""
        for name, count in told.items():
            cause, _, mnt = name.partition("/")
            if cause == LOST and mnt.isdecimal():
                self._lost[int(mnt)] = count

    def take(self, lane: OrdinaryLane) -> int:
        """What waits in the ring, a bounded number; how many."""
        found = lane.read()
        if self._programs:
            self._programs.begin()
        for raw in found:
            try:
                seen = decode(raw)
            except Undecodable:
                self._count("probe.undecodable")
                continue
            self._note(lane, seen)
        self._tell_digests()
        return len(found)

    def _note(self, lane: OrdinaryLane, seen: Ordinary) -> None:
        record = self._records.get(seen.key)
        if record is not None:  # the kernel had forgotten it, or two processors were first
            record.event["count"] += 1
            record.counted = 0
            return
        known = self._at_mount(seen.mnt)
        if known is None:
            self._unknown_mount(lane, seen)
            return
        self._names[seen.mnt] = known.id
        if len(self._records) >= MAX_RECORDS:
            self._count("ordinary.too_many")
            return
        record = self._records[seen.key] = _Record(self._event(seen, known.id))
        self._emit(record.event.copy())
        if self._programs:
            self._programs.ask(seen, known.init_pid, record.event["time"])

    def _unknown_mount(self, lane: OrdinaryLane, seen: Ordinary) -> None:
        self._count("ordinary.of_no_container")
        if len(self._unknown) >= _MAX_UNKNOWN:
            self._unknown.clear()
        if seen.time - self._unknown.setdefault(seen.mnt, seen.time) > _PATIENCE_NS:
            lane.ignore(seen.mnt)
            del self._unknown[seen.mnt]

    def collect(self, lane: OrdinaryLane) -> None:
        """Tell the counts that changed since the last collection. Takes some microseconds for each kind."""
        standing = set()
        for key, count in lane.counts():
            standing.add(key)
            record = self._records.get(key)
            if record is None or count == record.counted:
                continue
            record.event["count"] += count - record.counted if count > record.counted else count
            record.counted = count
            self._emit(self._again(record.event))
        evicted = self._records.keys() - standing
        for key in evicted:
            del self._records[key]
            # What was counted of it since the last collection went with it.
            self._count(EVICTED)
        self._forget(lane)

    def _tell_digests(self) -> None:
        """Tell of each file of a container once, as soon as it was read."""
        for answer in self._programs.answers() if self._programs else ():
            record = self._records.get(answer.key)
            if record is None or answer.digest is None:
                continue
            event = record.event
            event["digest"] = answer.digest
            if self._programs and self._programs.is_news(
                event["container_id"], event["exe"] or "", answer.digest
            ):
                self._emit(self._again(event))

    def _forget(self, lane: OrdinaryLane) -> None:
        """Let go of containers that are gone since the last collection or before.

        Once is not enough: the event of a start may wait. A number of a mount namespace comes back, and what
        is kept under it would be told of another container.
        """
        self.lost(lane)
        gone = {mnt for mnt in lane.tallies() if mnt != OTHERS and self._at_mount(mnt) is None}
        over = gone & self._gone
        if over:
            lane.forget(over)
            self._records = {key: kept for key, kept in self._records.items() if mount_of(key) not in over}
            for mnt in over:
                self._lost.pop(mnt, None)
                self._names.pop(mnt, None)
        self._gone = gone - over

    def lost(self, lane: OrdinaryLane) -> None:
        """Tell what the ring had no room for since the last call, by container."""
        for mnt, tally in lane.tallies().items():
            more = tally.lost - self._lost.get(mnt, 0)
            if more <= 0:
                continue
            self._lost[mnt] = tally.lost
            loss = Loss(
                id=self._next_id(),
                time=time.time_ns(),
                mono=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
                kind="loss",
                cause=LOST,
                count=more,
            )
            known = self._at_mount(mnt)
            container = known.id if known is not None else self._names.get(mnt)
            if container is not None:
                loss["container_id"] = container
            self._emit(loss)

    def _again(self, event: Activity) -> Activity:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        again = event.copy()
        again.update({"id": self._next_id(), "time": self._wall(now), "mono": now})
        return again

    def _event(self, seen: Ordinary, container: str) -> Activity:
        executes = seen.kind == EXEC
        argv, redacted = self._redact(seen.argv) if seen.argv is not None else (None, False)
        if argv is not None:
            argv = [argument[:MAX_TEXT] for argument in argv[:MAX_ARGS]]
        when = self._wall(seen.time)
        parent = self._programs.parent(seen) if self._programs else None
        return Activity(
            id=self._next_id(),
            time=when,
            mono=seen.time,
            kind="activity",
            what="exec" if executes else "connect",
            container_id=container,
            key=_key(seen, argv, parent),
            first=when,
            count=1,
            uid=seen.uid,
            comm=seen.comm,
            exe=seen.exe,
            filename=seen.filename,
            argv=argv,
            argv_cut=seen.argv_cut,
            argv_redacted=redacted,
            address=seen.address,
            port=seen.port,
            protocol=seen.protocol,
            parent_exe=parent,
            digest=None,
        )


def _key(seen: Ordinary, argv: list[str] | None, parent: str | None) -> str:
    """Of what is told, not of what is redacted, so that it gives no secret away."""
    shape = "\0".join(argv or ()).translate(_DIGITS)
    told = f"{seen.kind}\0{seen.uid}\0{seen.exe}\0{seen.address}\0{seen.port}\0{shape}\0{parent}"
    if seen.protocol not in {None, "tcp"}:
        told += f"\0{seen.protocol}"
    return blake2b(told.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
