# SPDX-License-Identifier: Apache-2.0
"""The spool: events wait here, in the order of their sequence, until the controller has stored them.

Promises
    kept       what append() took is handed out by peek() until it is acknowledged, over crashes as well;
    bounded    never more than max_bytes of events: the ordinary lane gives way first, then the oldest;
    counted    what gives way, or finds no room on the disk, is counted by cause and told as a `loss` event;
    unique     no id is ever given twice, whatever happens to the file.

One process holds the file. append(), next_id() and lost() are for any thread; peek() and ack() for one.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from sensor import wire
from sensor.fault import ExitCode, Fault
from sensor.health import Counters
from sensor.spool import file
from sensor.spool.disk import Disk
from sensor.spool.fit import pack_all
from sensor.spool.kept import Kept
from sensor.spool.rows import ENTRY, ORDINARY, Pending, Rows

Lane = Literal["entry", "ordinary"]
T = TypeVar("T")

_log: Final = logging.getLogger("sensor.spool")
_LANES: Final[dict[Lane, int]] = {"entry": ENTRY, "ordinary": ORDINARY}
_RESERVED_IDS: Final = 4096
_KEEPING: Final = "keep events"
_FORGETTING: Final = "forget what arrived"
_READING: Final = "hand out events"


class Spool:
    """See the module. Made by Spool.open."""

    _descriptor: int
    _rows: Rows
    _disk: Disk

    def __init__(self, path: Path, max_bytes: int, host: str, boot: str, counters: Counters) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._host = host
        self._prefix = f"{host}/{boot}/"
        self._counters = counters
        self._arrived = threading.Condition(threading.RLock())
        self._unsaved: Counter[str] = Counter()
        """Lost by cause, and not yet on disk as such."""
        self._acknowledged: set[int] = set()
        """Acknowledged, but the disk did not take the deletion yet."""
        self._next = self._reserved = 0
        self._kept = Kept()
        self.began_anew = False
        """The file was damaged: what was kept in it has to be given again. Whoever does sets it back."""
        self._trouble: dict[str, str] = {}
        self._unsynced = False

    @classmethod
    def open(
        cls, path: Path, max_bytes: int, *, host: str, boot: str, counters: Counters | None = None
    ) -> Self:
        """The spool at `path`, made where there is none. `host` and `boot` are the first parts of every id.

        A damaged file is moved aside and counted. Raises Fault when another process holds the file or its
        folder cannot be used.
        """
        spool = cls(path, max_bytes, host, boot, counters or Counters())
        spool._descriptor = file.lock(path)
        try:
            spool._take_over()
        except BaseException:
            os.close(spool._descriptor)
            raise
        return spool

    def close(self) -> None:
        """Let go of the file. What waits goes on waiting."""
        with self._arrived:
            self._save()
            self._disk.close()
            self._rows.connection.close()
            os.close(self._descriptor)

    # -- in

    def next_id(self) -> str:
        """A new id, "<host>/<boot>/<sequence>", with a higher sequence than every one before it."""
        with self._arrived:
            sequence = self._next_sequence()
            if self._next > self._reserved:
                # Ids up to the mark may be in use when the process dies. Where the disk does not take the
                # mark, the clock still keeps them apart (_take_over).
                self._reserved = self._next + _RESERVED_IDS
                self._attempt(lambda: self._rows.set_meta("reserved", str(self._reserved)))
        return f"{self._prefix}{sequence}"

    def append(
        self,
        events: Iterable[Mapping[str, Any]],
        lane: Lane = "entry",
        keep: Mapping[str, bytes | None] | None = None,
    ) -> int:
        """Keep events, in one transaction; how many were. What is not kept is counted: never raises for it.

        Each event has its `id` from next_id(). `keep` are values for kept(), in the same transaction.
        """
        to = _LANES[lane]
        with self._arrived:
            self._kept.change(keep or {})
            rows, shortened, unpackable = pack_all(events, self._prefix)
            self._counters.add("spool.shortened", shortened)
            self._lose("spool.unpackable", unpackable)
            stored = self._attempt(lambda: self._rows.insert(rows, to), _KEEPING)
            if stored is None and rows:
                stored = self._squeeze(lambda: self._rows.replace(rows, to), _KEEPING)
            if stored is None:
                self._lose("spool.disk", len(rows))
                self._save()
            self._arrived.notify_all()
        return stored or 0

    def lost(self, cause: str, count: int) -> None:
        """Tell of events that were lost before they reached the spool: goes out as a loss event."""
        with self._arrived:
            self._lose(cause, count)
            self._save()
            self._arrived.notify_all()

    def kept(self) -> dict[str, bytes]:
        """The values that append() kept, also those of the sensor before."""
        with self._arrived:
            try:
                return self._kept.read(self._rows.connection)
            except sqlite3.Error as error:
                self._failed(error, _READING)
                return {}

    def mark(self, name: str) -> str | None:
        """What was kept under `name`: how far somebody had come before the sensor was stopped."""
        with self._arrived:
            return self._attempt(lambda: self._rows.meta(f"mark {name}"))

    def set_mark(self, name: str, value: str) -> None:
        """Keep it, after the events that it stands for: so they are read twice rather than never."""
        with self._arrived:
            self._attempt(lambda: self._rows.set_meta(f"mark {name}", value))

    # -- out

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is there to send, no longer than the timeout; whether there is."""
        with self._arrived:
            if not self._anything():
                self._arrived.wait(timeout_s)
            return self._anything()

    def wake(self) -> None:
        """End the present wait()."""
        with self._arrived:
            self._arrived.notify_all()

    def peek(
        self, max_events: int = wire.MAX_BATCH_EVENTS, max_bytes: int = wire.MAX_BATCH_BYTES // 4
    ) -> Pending:
        """The oldest events that wait, one at least where there is one; the same again until acknowledged."""
        with self._arrived:
            if self._unsaved or self._rows.books.losses:
                self._attempt(lambda: self._rows.tell_losses(self._next_sequence, self._prefix))
            try:
                found = self._rows.oldest(max_events, max_bytes, self._acknowledged)
            except sqlite3.Error as error:
                self._failed(error, _READING)
                return Pending((), ())
            self._trouble.pop(_READING, None)
            return found

    def ack(self, pending: Pending) -> None:
        """The controller has stored these: they need not be kept any longer."""
        with self._arrived:
            self._acknowledged.update(pending.token)
            self._counters.add("spool.acknowledged", len(pending))
            self._forget()

    def refuse(self, pending: Pending, reason: str) -> None:
        """The controller will never take these: set them aside for a person to look at, counted as lost."""
        with self._arrived:
            self._acknowledged.update(pending.token)
            self._attempt(lambda: self._rows.set_aside(pending, reason))
            self._forget()

    def refused(self) -> list[tuple[str, dict[str, Any]]]:
        """Reason and event of those that were set aside, oldest first; a bounded number is kept."""
        with self._arrived:
            return self._rows.refused()

    # -- health

    def sync(self) -> None:
        """Bring what was appended safely to the disk, power cuts included. Meant for once a second."""
        if self._unsynced:
            self._unsynced = not self._disk.checkpoint()
            self._counters.add("spool.sync_failed", self._unsynced)
        with self._arrived:
            self._disk.relax()

    def gauges(self) -> dict[str, Callable[[], float | None]]:
        """What the heartbeat shows of it, by name."""
        return {
            "spool.events": lambda: float(self._waiting()),
            "spool.bytes": lambda: float(self._rows.books.size),
            "spool.age_s": self.age_s,
        }

    def age_s(self) -> float | None:
        """Seconds that the oldest event has waited, by the host's clock; None when nothing waits."""
        with self._arrived:
            try:
                oldest = self._rows.oldest_time()
            except sqlite3.Error:
                return None
        return None if oldest is None else max(0.0, (time.time_ns() - oldest) / 1e9)

    def trouble(self) -> list[str]:
        """What does not work now, one sentence each."""
        said = list(self._trouble.values())
        if self._disk.tight:
            said.append(
                f"the disk of {self._path.parent} is full: in the spool, old events give way to new ones"
            )
        return said

    # -- the file

    def _take_over(self) -> None:
        """Open the file and go on where the sensor before stopped, under the host's present id."""
        self._open_rows()
        rows = self._rows
        self._attempt(lambda: rows.rename_host(self._host))
        # Above every id of the file and, were the file lost, above those of this boot, by the clock: a sensor
        # does not make a million ids a second, so sequences never outrun the microseconds since boot.
        self._next = max(int(rows.meta("reserved") or 0), rows.highest() + 1, file.boot_microseconds())

    def _open_rows(self) -> None:
        try:
            try:
                connection = file.open_checked(self._path)
            except file.DamagedError as error:
                self._move_aside(error, lost=1)
                connection = file.open_checked(self._path)
        except file.DiskError as error:
            raise Fault(
                f"the spool cannot be used: {error}",
                exit_code=ExitCode.CONFIG,
                fix=f"df -h {self._path.parent}",
            ) from error
        self._disk = Disk(self._path, connection)
        self._rows = Rows(connection, self._max_bytes)

    def _move_aside(self, error: Exception, lost: int) -> None:
        aside = file.set_aside(self._path)
        self._trouble["damaged"] = f"the spool was damaged ({error}) and began anew; the old one is {aside}"
        self._lose("spool.damaged", lost)

    def _attempt(self, work: Callable[[], T], purpose: str = "") -> T | None:
        """`work` in one transaction, with the losses and kept values that are not on disk yet.

        None when the disk fails. Such a failure is said under its purpose, until the same succeeds.
        """
        try:
            result = self._rows.transact(self._with_unsaved(work))
        except sqlite3.Error as error:
            self._failed(error, purpose)
            return None
        self._unsaved.clear()
        self._kept.written()
        self._unsynced = True
        if result is not None:
            self._trouble.pop(purpose, None)
        for name, count in self._rows.books.counted.items():
            self._counters.add(name, count)
        self._rows.books.counted.clear()
        return result

    def _squeeze(self, work: Callable[[], T], purpose: str) -> T | None:
        """The same on a disk that is full, in the space that the file has."""
        self._disk.tighten()
        result = self._attempt(work, purpose)
        self._disk.settle()
        return result

    def _forget(self) -> None:
        forgotten = self._attempt(lambda: self._rows.forget(self._acknowledged), _FORGETTING)
        if forgotten is None:
            forgotten = self._squeeze(lambda: self._rows.forget(self._acknowledged), _FORGETTING)
        if forgotten is not None:
            self._acknowledged.clear()

    def _failed(self, error: sqlite3.Error, purpose: str) -> None:
        meaning = file.explain(error)
        self._counters.add("spool.failed")
        if isinstance(meaning, file.DamagedError):
            lost = self._rows.books.events - len(self._acknowledged)
            self._disk.close()
            self._rows.connection.close()
            self._move_aside(meaning, lost=max(lost, 1))
            self._acknowledged.clear()
            self._open_rows()
            self.began_anew = True
            return
        if purpose and purpose not in self._trouble and not self._disk.tight:
            _log.error("the spool cannot %s: %s", purpose, meaning)
            self._trouble[purpose] = f"the spool cannot {purpose}: {meaning}"

    def _save(self) -> None:
        """Bring losses to the disk: a count takes a place that is there, even where no event finds one."""
        if self._unsaved:
            self._attempt(lambda: None)

    def _with_unsaved(self, work: Callable[[], T]) -> Callable[[], T]:
        def both() -> T:
            for cause, count in self._unsaved.items():
                self._rows.save_loss(cause, count)
            self._kept.write(self._rows.connection)
            return work()

        return both

    def _lose(self, cause: str, count: int) -> None:
        """Count a loss that the next transaction takes to the disk."""
        if count > 0:
            self._unsaved[cause] += count
            self._counters.add(f"lost.{cause}", count)

    def _next_sequence(self) -> int:
        sequence = self._next
        self._next += 1
        return sequence

    def _waiting(self) -> int:
        return max(0, self._rows.books.events - len(self._acknowledged))

    def _anything(self) -> bool:
        return self._waiting() > 0 or bool(self._rows.books.losses) or bool(self._unsaved)
