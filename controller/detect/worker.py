# SPDX-License-Identifier: Apache-2.0
"""Takes events from the bus, projects them, judges them, raises alerts.

What becomes of an event and the cursor that says it was dealt with are one transaction: a worker that is
killed has done both or neither, and doing an event again changes nothing. An event that cannot be dealt
with for its own sake is counted, logged and passed by, for it stays in the `events` table (its batch is dealt with
anew, one event after the other); when the database
does not take the work, the same events are tried again, later and later, and counted.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import exc, select

from controller.detect import catalogue, joining
from controller.detect.engine import Engine
from controller.detect.judging import Judging
from controller.detect.policy import Policy
from controller.store import approvals, completion, counters, cursors, project, troubles
from controller.store.engine import StoreError
from controller.store.schema import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from controller.bus import Bus, Delivery
    from controller.detect.rule import Event
    from controller.store.engine import Store

log = logging.getLogger(__name__)

CURSOR: Final = "detect"
Taken: TypeAlias = "tuple[Delivery, Event]"
"""An event as it was sent, and with what was learned of it by now."""
BATCH: Final = 500
"""Events in one transaction, which other writes wait for."""
IDLE_S: Final = 1.0
RETRY_S: Final = (0.1, 30.0)
"""First and longest pause after a transaction that failed; it doubles between them."""


class Worker:
    """One thread that follows the bus. Only one may run on a database: it owns the cursor `CURSOR`."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        engine: Engine | None = None,
        *,
        policy: Policy | None = None,
        batch: int = BATCH,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """With the detections that come with nsentry unless `engine` has others, and the knobs of `policy`.

        `clock` gives ns.
        """
        self.engine: Final = engine if engine is not None else _built_in()
        self.failed_batches = 0
        """Transactions that the database did not take, since this worker was made."""
        self._store = store
        self._bus = bus
        self._batch = batch
        self._clock = clock
        self._judging = Judging(self.engine, policy or Policy(), clock)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="detect", daemon=True)

    def start(self) -> None:
        """Begins to follow the bus from the cursor. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the transaction that is under way; returns when it has. May be called twice."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def alive(self) -> bool:
        """Whether it follows the bus."""
        return self._thread.is_alive()

    def run_once(self) -> int:
        """Deals with the next events, at most one batch; returns how many, 0 when there are none.

        Raises StoreError when the database did not take it: nothing was done then.
        """
        with self._store.read() as connection:
            position = cursors.position(connection, CURSOR)
            now = self._clock()
            due = joining.due(connection, now) or approvals.outlived(connection, now)
        deliveries = self._bus.read(position, self._batch)
        if not deliveries and not due and not self._judging.due():
            return 0
        try:
            return self._write(position, deliveries)
        except (StoreError, exc.OperationalError):
            self._forget()
            raise
        except Exception as error:  # noqa: BLE001 - which event's it is, shows when they are dealt with one by one
            log.warning("of %d events one could not be dealt with: %r", len(deliveries), error)
            self._forget()
        try:
            return self._write(position, deliveries, singly=True)
        except BaseException:
            self._forget()
            raise

    def _write(self, position: int, deliveries: Sequence[Delivery], *, singly: bool = False) -> int:
        """One transaction. Cycles are collected after it: that takes 50 to 100 ms, which looked like a slow rule."""
        gc.disable()
        try:
            return self._store.write(lambda c: self._work(c, position, deliveries, singly=singly))
        finally:
            gc.enable()

    def _forget(self) -> None:
        """A transaction was undone: what is held in memory may have been too."""
        self._judging.forget()
        self.engine.take_counts()

    def _follow(self) -> None:
        pause = RETRY_S[0]
        while not self._stopping.is_set():
            try:
                if self.run_once() == 0:
                    self._wait()
            except (StoreError, exc.OperationalError) as error:
                self.failed_batches += 1
                log.warning("the database took no events: %s; trying again in %.1f s", error, pause)
                self._stopping.wait(pause)
                pause = min(2 * pause, RETRY_S[1])
                continue
            pause = RETRY_S[0]

    def _wait(self) -> None:
        with self._store.read() as connection:
            position = cursors.position(connection, CURSOR)
        self._bus.wait(position, IDLE_S)

    def _work(
        self, connection: Connection, position: int, deliveries: Sequence[Delivery], *, singly: bool = False
    ) -> int:
        """One transaction. `singly`: each event in a savepoint, so that one that fails takes no other with it."""
        if cursors.position(connection, CURSOR) != position:
            return 0  # somebody else was here: what was read is no longer what comes next
        named = connection.execute(select(hosts.c.id, hosts.c.name)).all()
        self._judging.begin(connection, position, {row.id: row.name for row in named})
        whole = completion.completed_all(connection, [each.event for each in deliveries])
        taken = [(each, event) for each, (event, _) in zip(deliveries, whole, strict=True)]
        if singly:
            for each in taken:
                self._attempt(connection, each)
        elif taken:
            self._deal(connection, taken)
        last = deliveries[-1].seq if deliveries else position
        self._judging.finish(connection, last)
        cursors.advance(connection, CURSOR, last)
        counts = {f"detect.{name}": count for name, count in self.engine.take_counts().items() if count}
        counters.add_all(connection, counts)
        troubles.keep(connection, self.engine.take_troubles(), self._clock())
        return len(deliveries)

    def _attempt(self, connection: Connection, taken: Taken) -> None:
        """Deals with one event, or undoes all that it began and passes it by."""
        event = taken[1]
        try:
            with connection.begin_nested():
                self._deal(connection, [taken])
        except exc.OperationalError:
            raise  # the database's trouble, not the event's
        except Exception:
            log.exception("event %s could not be dealt with and was passed by", event["id"])
            counters.add(connection, "detect.events_failed")
            self._judging.drop(event.get("session") or "")

    def _deal(self, connection: Connection, taken: Sequence[Taken]) -> None:
        project.apply_all(connection, [(each.host, each.event) for each, _ in taken])
        self._judging.take(connection, taken)


def _built_in() -> Engine:
    detections, problems = catalogue.load_all()
    for problem in problems:
        log.error("a detection was left out: %s", problem)
    return Engine(detections)
