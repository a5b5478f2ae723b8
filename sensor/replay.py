# SPDX-License-Identifier: Apache-2.0
"""A recording put through the same tracker and reporter as live events: same events out, on any machine, by anybody."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from sensor.enrich.accounts import Accounts
from sensor.enrich.containers import Containers
from sensor.enrich.known import Known
from sensor.enrich.processes import Snapshot
from sensor.entry.doors import Doors
from sensor.entry.lineage import Lineage
from sensor.entry.report import Reporter
from sensor.entry.users import Users
from sensor.probe import recording
from sensor.watch import Watch
from sensor.wire import Event
from sensor.wire.redact import Redactor

_NOWHERE: Final = Path("/nonexistent")
"""No /proc: the pids of a recording are those of another time."""


class RecordedContainers(Containers):
    """The containers that a recording tells of. They live until their stop is told."""

    def __init__(self) -> None:
        super().__init__(proc=_NOWHERE)
        self._told: dict[int, Known] = {}

    def tell(self, known: Known) -> None:
        """A container that was known from here on, or is known better from here on."""
        self._told[known.init_pid] = known
        self.adopt(known)

    def started(self, init_pid: int, *_facts: object, **_more: object) -> Known | None:
        """The container that the recording tells of right after the event of its start."""
        return self._told.get(init_pid)

    def waiting_at(self, _mnt: int) -> None:
        """Nobody waits in a recording."""

    def _witnessed(self, *_facts: object) -> bool:
        return True


class _Told:
    """The metadata of a recording: all of it is known when it is told."""

    def complete(self, known: Known, on_done: Callable[[Known], None]) -> None:
        on_done(known)

    def again(self, known: Known, on_done: Callable[[Known], None]) -> None:
        on_done(known)


def replay(path: Path, patterns: tuple[str, ...] = ()) -> Iterator[Event]:
    """The events of a recording. Raises Fault."""
    head, parts = recording.read(path)
    out: list[Event] = []
    containers = RecordedContainers()
    redactor = Redactor(patterns)
    doors = Doors(containers, head.host, proc=None)
    numbers = itertools.count(1)
    reporter = Reporter(
        lambda: f"replay/{path.name}/{next(numbers)}",
        containers.by_id,
        Lineage(redactor.argv, doors.side, Snapshot({}), _NOWHERE),
        redactor.argv,
        Users(Accounts(_NOWHERE).name, doors.side, _NOWHERE),
        lambda mono: head.booted + mono,
    )
    watch = Watch(containers, _Told(), reporter, doors, out.append, lambda _name: None)
    now = 0
    watch.clock = lambda: now
    watch.stand = watch.reach = lambda _reached: None
    # A start is told before the container that it was the start of: look ahead by one.
    for part in _containers_first(parts):
        if isinstance(part, Known):
            containers.tell(part)
        else:
            now = part.head.time
            watch.feed(part)
        watch.settle()
        yield from out
        out.clear()


def _containers_first(parts: Iterator[recording.Part]) -> Iterator[recording.Part]:
    """The same, with each container before the event that it follows."""
    held: recording.Part | None = None
    for part in parts:
        if isinstance(part, Known):
            yield part
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held
