# SPDX-License-Identifier: Apache-2.0
"""The spool against a model: any order of appends, deliveries, crashes and full disks keeps its promises."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import msgpack
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from sensor.health import Counters
from sensor.spool import Pending, Spool
from sensor.spool.rows import MAX_LOSSES

MAX_BYTES = 6000
MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of commits need no real disk


class SpoolMachine(RuleBasedStateMachine):
    """`given` is what append() got; every one of them has to arrive, or be told as lost, exactly once."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-", dir=MEMORY if MEMORY.is_dir() else None))
        self.given: set[str] = set()
        self.handed_out: set[str] = set()
        self.arrived: set[str] = set()
        self.doubtful: set[str] = set()
        self.told = 0
        self.lost_outside = 0
        self.pending = Pending((), ())
        self.generation = 0

    @initialize()
    def open(self) -> None:
        self.spool = Spool.open(self.folder / "spool.db", MAX_BYTES, host="h", boot="b", counters=Counters())
        self.pending = Pending((), ())

    @rule(target=ids, count=st.integers(1, 4))
    def take_ids(self, count):
        taken = [self.spool.next_id() for _ in range(count)]
        assert self.handed_out.isdisjoint(taken), "an id was handed out twice"
        assert len(set(taken)) == count
        self.handed_out.update(taken)
        return multiple(*taken)

    @rule(
        taken=st.lists(consumes(ids), min_size=1, max_size=4, unique=True),
        size=st.integers(0, 900),
        lane=st.sampled_from(["entry", "ordinary"]),
    )
    def append(self, taken, size, lane):
        self.spool.append([{"id": one, "kind": "exit", "fill": "x" * size} for one in taken], lane)
        self.given.update(taken)

    @rule(count=st.integers(1, 5))
    def lose_outside(self, count):
        self.spool.lost("ring.entry.full", count)
        self.lost_outside += count

    @rule(max_events=st.integers(1, 6), max_bytes=st.integers(1, 4000))
    def peek(self, max_events, max_bytes):
        before = self.pending
        self.pending = self.spool.peek(max_events, max_bytes)
        sequences = list(self.pending.token)
        assert sequences == sorted(sequences)
        if before and self.pending and before.token[0] in self.pending.token:
            assert self.pending.token[0] <= before.token[0]

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def ack(self, data):
        start = data.draw(st.integers(0, len(self.pending)))
        stop = data.draw(st.integers(start, len(self.pending)))
        part = self.pending.part(start, stop)
        self.deliver(part)
        self.spool.ack(part)
        self.pending = Pending((), ())

    def deliver(self, pending: Pending) -> None:
        """What the controller would do: keep each id once."""
        for packed in pending.events:
            event = msgpack.unpackb(packed)
            if event["id"] in self.arrived:
                continue
            self.arrived.add(event["id"])
            if event["kind"] == "loss":
                self.told += event["count"]

    @rule()
    def stored_but_the_answer_was_lost(self):
        """The controller keeps a batch that the sensor then sends again: no loss, and the same ids."""
        self.deliver(self.spool.peek())

    def reopen(self) -> None:
        """What arrived and was not acknowledged may now give way like all else, and be told as lost too."""
        rows = self.spool._rows.connection.execute("SELECT body FROM events").fetchall()
        waiting = {msgpack.unpackb(body)["id"] for (body,) in rows}
        self.spool.close()
        self.doubtful |= self.arrived & waiting

    @rule()
    def crash(self):
        """Only what SQLite has committed is there afterwards: the files are copied as they lie."""
        self.generation += 1
        copy = self.folder.with_name(f"{self.folder.name}-{self.generation}")
        shutil.copytree(self.folder, copy)
        self.reopen()
        shutil.rmtree(self.folder)
        self.folder = copy
        self.open()

    @rule()
    def close_and_open(self):
        self.reopen()
        self.open()

    @rule()
    def sync(self):
        self.spool.sync()

    @rule(taken=st.lists(consumes(ids), min_size=1, max_size=3, unique=True))
    def append_to_a_full_disk(self, taken):
        connection = self.spool._rows.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        self.spool.append([{"id": one, "kind": "entry", "fill": "x" * 900} for one in taken])
        connection.execute("PRAGMA max_page_count = 1073741823")
        self.given.update(taken)

    @invariant()
    def stays_within_its_bound(self):
        if hasattr(self, "spool"):
            assert (
                self.spool.gauges()["spool.bytes"]() <= MAX_BYTES + (MAX_LOSSES + 8) * 150
            )  # its own loss events
            total = self.spool._rows.connection.execute("SELECT count(*), sum(size) FROM events").fetchone()
            books = self.spool._rows.books
            assert (books.events, books.size) == (total[0], total[1] or 0)

    def teardown(self):
        if not hasattr(self, "spool"):
            return
        for _ in range(500):
            pending = self.spool.peek()
            if not pending:
                break
            self.deliver(pending)
            self.spool.ack(pending)
        else:
            raise AssertionError("the spool does not run empty")
        self.spool.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        lost = self.lost_outside + len(self.given - self.arrived)
        assert self.told >= lost, "lost without being told"
        assert self.told <= lost + len(self.doubtful), "told as lost what was not"


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(
    max_examples=int(os.environ.get("NSENTRY_STATE_EXAMPLES", "60")), stateful_step_count=40, deadline=None
)
