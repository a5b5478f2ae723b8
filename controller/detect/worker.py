# SPDX-License-Identifier: Apache-2.0
"""Takes events from the bus, projects them, judges them, raises alerts.

What becomes of an event and the cursor that says it was dealt with are one transaction: a worker that is
killed has done both or neither, and doing an event again changes nothing. An event that cannot be dealt
with for its own sake is counted, logged and passed by, for it stays in the `events` table; when the database
does not take the work, the same events are tried again, later and later, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc, select

from controller.detect import alerts, asking, catalogue, joining
from controller.detect.engine import Engine
from controller.detect.held import Held
from controller.detect.joining import Joining
from controller.detect.rule import ALONE, Visit
from controller.detect.visits import OPENING, Visits, stored_findings
from controller.store import completion, counters, cursors, project, raising
from controller.store.engine import StoreError
from controller.store.schema import events, hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.bus import Bus, Delivery
    from controller.detect.engine import Raised
    from controller.detect.rule import Event
    from controller.detect.visits import Visited
    from controller.store.engine import Store
    from controller.store.raising import NewAlert

log = logging.getLogger(__name__)

CURSOR: Final = "detect"
BATCH: Final = 100
"""Events in one transaction, which other writes wait for."""
WITHDRAWN: Final = "the visit was a health check that its container declares, which the sensor learned late"
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
        batch: int = BATCH,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """With the detections that come with nsentry unless `engine` has others; `clock` gives ns."""
        self.engine: Final = engine if engine is not None else _built_in()
        self.failed_batches = 0
        """Transactions that the database did not take, since this worker was made."""
        self._store = store
        self._bus = bus
        self._batch = batch
        self._clock = clock
        self._titles = {each.id: each.title for each in self.engine.detections}
        self._visits = Visits()
        self._held: Held | None = None
        self._joining = Joining()
        self._touched: dict[str, tuple[Visited, tuple[str, str]]] = {}
        """Visits of the batch under way, with id and name of their host: refreshed once, at its end."""
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
            due = joining.due(connection, self._clock())
        deliveries = self._bus.read(position, self._batch)
        if not deliveries and not due and not (self._held is None or self._held.due(self._clock())):
            return 0
        try:
            return self._store.write(lambda connection: self._work(connection, position, deliveries))
        except BaseException:
            self._visits.forget()  # they may hold what was undone
            self._held = None
            self._joining.forget()
            raise

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

    def _work(self, connection: Connection, position: int, deliveries: Sequence[Delivery]) -> int:
        if cursors.position(connection, CURSOR) != position:
            return 0  # somebody else was here: what was read is no longer what comes next
        if self._held is None:
            self._held = Held.load(connection, position, self._clock())
        named = connection.execute(select(hosts.c.id, hosts.c.name)).all()
        names = {row.id: row.name for row in named}
        whole = completion.completed_all(connection, [each.event for each in deliveries])
        self._touched.clear()
        for delivery, (event, _) in zip(deliveries, whole, strict=True):
            self._attempt(connection, delivery, event, names.get(delivery.host, delivery.host))
        last = deliveries[-1].seq if deliveries else position
        for session in self._joining.changed(connection, self._clock()):
            self._told(connection, session, last, names)
        for session in self._held.due(self._clock()):
            self._tired(connection, self._held, session, last, names)
        self._held.keep(connection)
        for visited, host in self._touched.values():
            if visited.findings:
                raising.refresh(connection, alerts.describe(visited, *host, self._titles))
        cursors.advance(connection, CURSOR, last)
        counts = {f"detect.{name}": count for name, count in self.engine.take_counts().items() if count}
        counters.add_all(connection, counts)
        return len(deliveries)

    def _attempt(self, connection: Connection, delivery: Delivery, event: Event, host_name: str) -> None:
        """Deals with one event, or undoes all that it began and passes it by."""
        try:
            with connection.begin_nested():
                project.apply(connection, delivery.host, delivery.event)
                self._joining.take(connection, delivery.host, event, self._clock())
                if event["kind"] == "update":
                    self._learn(connection, delivery, host_name)
                elif event.get("session") is not None:
                    self._see(connection, delivery, event, host_name)
                elif event["kind"] in ALONE:
                    self._see_alone(connection, delivery.host, event, host_name)
        except exc.OperationalError:
            raise  # the database's trouble, not the event's
        except Exception:
            log.exception("event %s could not be dealt with and was passed by", event["id"])
            counters.add(connection, "detect.events_failed")
            self._visits.forget(event.get("session"))
            self._touched.pop(event.get("session") or "", None)

    def _see(self, connection: Connection, delivery: Delivery, event: Event, host_name: str) -> None:
        """The next event of a visit."""
        visited = self._visits.before(connection, event["session"], delivery.seq)
        visited.add(event)
        if event["kind"] in OPENING:
            visited.know(connection)
        if self._holds(visited, delivery.seq) and event["kind"] != "escape":
            return  # however somebody came in, out to the host is no health check
        found = self.engine.evaluate(visited.now(), event)
        self._raise(connection, visited, found, (delivery.host, host_name))

    def _see_alone(self, connection: Connection, host: str, event: Event, host_name: str) -> None:
        """An event of no visit: what is found in it is the alert of its container, or of what was asked for."""
        if event["kind"] == "contact" and event["container"] is None:
            return  # of the host itself
        asked = event["kind"] == "record"
        if asked and not asking.speaks(connection, event):
            return
        event = asking.known(connection, host, event) if asked else event
        subject = asking.subject(host, event) if asked else alerts.subject(host, event)
        earlier = asking.refused_before(connection, event) if asked else ()
        found = self.engine.evaluate(Visit(subject, None, earlier=earlier), event)
        if not found:
            return
        known = stored_findings(connection, subject)
        new, refused = alerts.admit(None, known, found)
        if refused:
            counters.add(connection, "detect.findings_left_out", refused)
        since = raising.first_seen(connection, subject)
        describe = asking.describe if asked else alerts.describe_alone
        both = alerts.judged_again(known, new)
        alert = describe(since, host, host_name, event, (both, self._titles))
        raising.raise_(connection, alert, [alerts.to_keep(each) for each in new], self._clock())

    def _holds(self, visited: Visited, seq: int) -> bool:
        """Whether the visit is to be judged only later."""
        return self._held is not None and self._held.holds(visited.session, visited.entry, seq, self._clock())

    def _tired(
        self, connection: Connection, held: Held, session: str, last: int, names: Mapping[str, str]
    ) -> None:
        """What was to come has not: the visit is judged as it stands."""
        held.release(session)
        visited = self._visits.before(connection, session, last + 1)
        if visited.entry is None:
            return
        query = select(events.c.host).where(events.c.id == visited.entry["id"])
        host = connection.execute(query).scalar_one()
        found = [each for visit, judged in visited.judged() for each in self.engine.evaluate(visit, judged)]
        counters.add(connection, "detect.means_never_settled")
        self._raise(connection, visited, found, (host, names.get(host, host)))

    def _told(self, connection: Connection, session: str, last: int, names: Mapping[str, str]) -> None:
        """Something else is known of a visit's record or principal: it is judged and said anew."""
        visited = self._visits.before(connection, session, last + 1)
        visited.know(connection)
        if visited.entry is None or self._holds(visited, last):
            return
        query = select(events.c.host).where(events.c.id == visited.entry["id"])
        host = connection.execute(query).scalar_one()
        for detection, reason in joining.void(visited):
            self._take_back(connection, visited, (host, names.get(host, host)), detection, reason)
        found = [each for visit, judged in visited.judged() for each in self.engine.evaluate(visit, judged)]
        self._raise(connection, visited, found, (host, names.get(host, host)))

    def _take_back(
        self, connection: Connection, visited: Visited, host: tuple[str, str], detection: str, reason: str
    ) -> None:
        """There is a record after all: what was found for want of one does not stand any more."""
        if visited.findings:
            raising.refresh(connection, alerts.describe(visited, *host, self._titles))
        if raising.take_back(connection, visited.session, detection, reason, self._clock()):
            counters.add(connection, "detect.findings_taken_back")
        visited.findings = tuple(each for each in visited.findings if each.detection != detection)

    def _learn(self, connection: Connection, delivery: Delivery, host_name: str) -> None:
        """More is known of an earlier event: the whole visit is judged again, and its alert says it anew."""
        query = select(events.c.session).where(
            events.c.id == delivery.event["target"],
            events.c.host == delivery.host,
            events.c.seq < delivery.seq,  # a later target will be read with this update merged in
        )
        session = connection.execute(query).scalar_one_or_none()
        event = completion.completed(connection, delivery.event["target"])
        if event is not None and session is None and event["kind"] in ALONE:
            self._see_alone(connection, delivery.host, event, host_name)
        if session is None or event is None:
            return
        host = (delivery.host, host_name)
        visited = self._visits.before(connection, session, delivery.seq)
        before = alerts.describe(visited, *host, self._titles) if visited.findings else None
        probe = alerts.void(visited)
        visited.complete(event)
        self._joining.take(connection, delivery.host, event, self._clock())
        visited.know(connection)
        if self._holds(visited, delivery.seq):
            return
        found = [each for visit, judged in visited.judged() for each in self.engine.evaluate(visit, judged)]
        after = self._raise(connection, visited, found, host)
        if before and after and (before.title, before.sentence) != (after.title, after.sentence):
            detail = {"event": event["id"], "learned": sorted(delivery.event["set"])}
            raising.note(connection, raising.alert_id(session), "entry_completed", detail, self._clock())
        if after and not probe and alerts.void(visited):
            raising.withdraw(connection, raising.alert_id(session), WITHDRAWN, self._clock())
            counters.add(connection, "detect.alerts_withdrawn")

    def _raise(
        self, connection: Connection, visited: Visited, found: Sequence[Raised], host: tuple[str, str]
    ) -> NewAlert | None:
        """The visit's alert as it stands now, in the store at the latest with the end of the batch."""
        self._touched[visited.session] = (visited, host)
        new, refused = alerts.admit(visited.entry, visited.findings, found)
        if refused:
            counters.add(connection, "detect.findings_left_out", refused)
        visited.findings = alerts.judged_again(visited.findings, new)
        if not visited.findings:
            return None
        alert = alerts.describe(visited, *host, self._titles)
        if new:
            raising.raise_(connection, alert, [alerts.to_keep(each) for each in new], self._clock())
        return alert


def _built_in() -> Engine:
    detections, problems = catalogue.load_all()
    for problem in problems:
        log.error("a detection was left out: %s", problem)
    return Engine(detections)
