# SPDX-License-Identifier: Apache-2.0
"""The spool's rows: what each operation does to them, inside a transaction that the caller opens and ends."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgpack

from sensor import wire

T = TypeVar("T")

ENTRY: Final = 0
ORDINARY: Final = 1
LOSS: Final = 2
"""Lanes. Loss events give way to nothing; they are few, for a cause has only one that waits."""

MAX_REFUSED: Final = 1000
"""Refused events that are kept for a person to look at; the oldest give way."""

SHED_BYTES: Final = 64 * 1024
"""Given up at once where the disk is full: a few rows less would leave no page of the file wholly free."""

_OVERHEAD: Final = 48
"""Bytes that SQLite needs for a row and its place in the index, about."""

Row = tuple[int, bytes]
"""Sequence and packed event."""

MAX_LOSSES: Final = 24
"""Loss events that wait at once: while nobody takes them, further losses add to the next."""


def size_of(body: bytes) -> int:
    """Bytes that a row counts for."""
    return len(body) + _OVERHEAD


@dataclass(frozen=True, slots=True)
class Pending:
    """The oldest events that wait, packed, in order. `token` acknowledges them."""

    token: tuple[int, ...]
    events: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.token)

    def part(self, start: int, stop: int) -> Pending:
        """Some of them, which can be acknowledged by themselves."""
        return Pending(self.token[start:stop], self.events[start:stop])


@dataclass(slots=True)
class Books:
    """What a transaction changes beside its rows; taken back with them."""

    events: int = 0
    size: int = 0
    """Bytes of the events that wait, SQLite's own included."""
    losses: Counter[str] = field(default_factory=Counter)
    """Lost, by cause: on disk as such, and not yet in a loss event."""
    counted: Counter[str] = field(default_factory=Counter)
    """What to count once it is committed."""

    def copy(self) -> Books:
        """To go back to."""
        return Books(self.events, self.size, self.losses.copy(), self.counted.copy())


class Rows:
    """Operations on the tables; each but `transact` belongs inside its `work`."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int) -> None:
        self.connection = connection
        self.max_bytes = max_bytes
        self.in_flight = -1
        """Highest sequence handed out: it and those before do not give way, for they may be on their way."""
        self.books = Books()
        self._sum()

    def transact(self, work: Callable[[], T]) -> T:
        """`work` in one transaction, its books kept only if its rows are. Raises sqlite3.Error."""
        before = self.books.copy()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            result = work()
            self.connection.execute("COMMIT")
        except BaseException:
            self.books = before
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        return result

    def meta(self, name: str) -> str | None:
        """A value that was set before."""
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row and str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Keep a value beside the rows."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def highest(self) -> int:
        """Highest sequence among all rows; -1 without any."""
        query = "SELECT max(seq) FROM (SELECT seq FROM events UNION ALL SELECT seq FROM refused)"
        (found,) = self.connection.execute(query).fetchone()
        return -1 if found is None else int(found)

    def oldest_time(self) -> int | None:
        """When the oldest event was kept, ns; None without any."""
        row = self.connection.execute("SELECT time FROM events ORDER BY seq LIMIT 1").fetchone()
        return row and int(row[0])

    # -- in

    def insert(self, rows: list[Row], lane: int) -> int:
        """Keep events as far as there is room or can be made; how many were. The rest is lost and booked."""
        if (excess := self.books.size + sum(size_of(body) for _, body in rows) - self.max_bytes) > 0:
            self.evict(excess, lane)
        now, stored = time.time_ns(), 0
        for sequence, body in rows:
            if self.books.size + size_of(body) > self.max_bytes:
                self.lose("spool.full", 1)
            elif self._insert(sequence, lane, now, body):
                stored += 1
        self.books.counted["spool.appended"] += stored
        return stored

    def replace(self, rows: list[Row], lane: int) -> int | None:
        """Keep events in the place of older ones, for the file cannot grow; None without older ones."""
        need = sum(size_of(body) for _, body in rows)
        return self.insert(rows, lane) if self.evict(need + SHED_BYTES, lane) else None

    def evict(self, excess: int, lane: int) -> int:
        """Delete what gives way to `lane`, oldest first, until `excess` bytes are free; the bytes freed."""
        freed = 0
        for giving in (ORDINARY, ENTRY):
            if giving < lane or freed >= excess:
                break
            last, count, within = self.in_flight, 0, "lane = ? AND seq > ?"
            query = f"SELECT seq, size FROM events WHERE {within} ORDER BY seq"  # noqa: S608 - constant text
            for sequence, size in self.connection.execute(query, (giving, self.in_flight)):
                last, count, freed = sequence, count + 1, freed + size
                if freed >= excess:
                    break
            delete = f"DELETE FROM events WHERE {within} AND seq <= ?"  # noqa: S608
            self.connection.execute(delete, (giving, self.in_flight, last))
            self.books.events -= count
            self.lose("spool.full", count)
        self.books.size -= freed
        return freed

    def _insert(self, sequence: int, lane: int, now: int, body: bytes) -> bool:
        values = (sequence, lane, size_of(body), now, body)
        if not self.connection.execute("INSERT OR IGNORE INTO events VALUES (?,?,?,?,?)", values).rowcount:
            self.books.counted["spool.repeated_id"] += 1
            return False
        self.books.events += 1
        self.books.size += size_of(body)
        return True

    # -- out

    def oldest(self, max_events: int, max_bytes: int, besides: set[int]) -> Pending:
        """The oldest events but `besides`; at least one, where there is one. They are then in flight."""
        token: list[int] = []
        events: list[bytes] = []
        size = 0
        for sequence, body in self.connection.execute("SELECT seq, body FROM events ORDER BY seq"):
            if sequence in besides:
                continue
            if events and (len(events) >= max_events or size + len(body) > max_bytes):
                break
            token.append(sequence)
            events.append(body)
            size += len(body)
        self.in_flight = max(self.in_flight, *token, -1)
        return Pending(tuple(token), tuple(events))

    def forget(self, sequences: Iterable[int]) -> int:
        """Delete events that arrived; how many were there."""
        deleted = 0
        for sequence in sequences:
            query = "DELETE FROM events WHERE seq = ? RETURNING size"
            row = self.connection.execute(query, (sequence,)).fetchone()
            if row:
                deleted += 1
                self.books.size -= row[0]
        self.books.events -= deleted
        return deleted

    def set_aside(self, pending: Pending, reason: str) -> None:
        """Move events into the table of the refused ones, of which only the newest are kept."""
        now = time.time_ns()
        for sequence, body in zip(pending.token, pending.events, strict=True):
            values = (sequence, reason[: wire.MAX_TEXT], now, body)
            self.connection.execute("INSERT OR REPLACE INTO refused VALUES (?,?,?,?)", values)
            # A refused loss event must not make another one, which would be refused as well.
            if msgpack.unpackb(body).get("kind") != "loss":
                self.lose("ship.refused", 1)
        self.forget(pending.token)
        kept = "SELECT seq FROM refused ORDER BY seq DESC LIMIT ?"
        self.connection.execute(f"DELETE FROM refused WHERE seq NOT IN ({kept})", (MAX_REFUSED,))  # noqa: S608

    def refused(self) -> list[tuple[str, dict[str, Any]]]:
        """Reason and event of each that was set aside, oldest first."""
        rows = self.connection.execute("SELECT reason, body FROM refused ORDER BY seq")
        return [(reason, msgpack.unpackb(body)) for reason, body in rows]

    # -- losses

    def lose(self, cause: str, count: int) -> None:
        """Book a loss: on disk with this transaction, or not lost at all."""
        if count:
            self.save_loss(cause, count)
            self.books.counted[f"lost.{cause}"] += count

    def save_loss(self, cause: str, count: int) -> None:
        """Keep a loss that was counted before."""
        self.books.losses[cause] += count
        query = "INSERT INTO losses VALUES (?, ?) ON CONFLICT (cause) DO UPDATE SET count = count + ?"
        self.connection.execute(query, (cause, count, count))

    def tell_losses(self, next_sequence: Callable[[], int], prefix: str) -> None:
        """Make loss events of what was lost, once those before are on their way, and not without end."""
        query = "SELECT count(*), max(seq) FROM events WHERE lane = ?"
        waiting, latest = self.connection.execute(query, (LOSS,)).fetchone()
        if waiting >= MAX_LOSSES or (waiting and latest > self.in_flight):
            return
        now, mono = time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for cause, count in sorted(self.books.losses.items()):
            sequence = next_sequence()
            event: wire.Loss = {
                "kind": "loss",
                "id": f"{prefix}{sequence}",
                "time": now,
                "mono": mono,
                "cause": cause,
                "count": count,
            }
            self._insert(sequence, LOSS, now, wire.pack(event))
        self.connection.execute("DELETE FROM losses")
        self.books.losses.clear()

    # -- taking over a file

    def rename_host(self, new: str) -> None:
        """Give what waits the present id of the host, for of another one the controller would refuse it.

        A host that is enrolled again gets a new id; the file remembers the one it was written under.
        """
        old = self.meta("host")
        self.set_meta("host", new)
        if old is None or old == new:
            return
        select = "SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT 500"
        last = -1
        while rows := self.connection.execute(select, (last,)).fetchall():
            changed = [
                (size_of(body), body, seq) for seq, body in ((s, _renamed(b, old, new)) for s, b in rows)
            ]
            self.connection.executemany("UPDATE events SET size = ?, body = ? WHERE seq = ?", changed)
            last = rows[-1][0]
        self._sum()

    def _sum(self) -> None:
        query = "SELECT count(*), coalesce(sum(size), 0) FROM events"
        self.books.events, self.books.size = self.connection.execute(query).fetchone()
        self.books.losses = Counter(dict(self.connection.execute("SELECT cause, count FROM losses")))


def _renamed(body: bytes, old: str, new: str) -> bytes:
    event = msgpack.unpackb(body)
    for name in ("id", "session", "target"):
        value = event.get(name)
        if isinstance(value, str) and value.startswith(f"{old}/"):
            event[name] = new + value.removeprefix(old)
    return wire.pack(event)
