# SPDX-License-Identifier: Apache-2.0
"""From the events of a batch to what is found: each is judged with its visit, and again when more is known of it.

The worker owns the transaction; here is what happens to its events in it. `begin`, then `take`, then `finish`, which
deals with what the batch and the clock have settled: records, windows that ended, visits that waited long enough.
What the records of a batch say of its visits is settled before any of its events is judged, so that most visits
are judged once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from controller.detect import alerts, joining, warming
from controller.detect.alerting import Alerting
from controller.detect.held import Held
from controller.detect.joining import Joining
from controller.detect.policy import Host, Policy
from controller.detect.rule import ALONE
from controller.detect.unvisited import Unvisited
from controller.detect.visits import OPENING, Visits, know_all
from controller.store import approvals, completion, counters, unseen
from controller.store.schema import events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.bus import Delivery
    from controller.detect.engine import Engine
    from controller.detect.rule import Event
    from controller.detect.visits import Visited

PRUNE_EACH: Final = 256
"""Batches between two looks at what is kept of records that were decided."""


class Judging:
    """What one worker knows between two batches, and does in one."""

    def __init__(self, engine: Engine, policy: Policy, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._alerting = Alerting(policy, {each.id: each.title for each in engine.detections}, clock)
        self._unvisited = Unvisited(engine, policy, self._alerting, clock)
        self._visits = Visits()
        self._held: Held | None = None
        self._warm = False
        self._joining = Joining()
        self._batches = 0
        self._names: Mapping[str, str] = {}
        self._waiting: dict[str, Host] = {}
        """Visits of the batch under way that an approval may be about, once it is known who came in."""
        self._changed: dict[str, None] = {}
        """Visits of which the batch under way said something new."""
        self._again: dict[str, None] = {}
        """Those of them that were judged before it said so."""
        self._known: set[str] = set()
        """Events that opened a visit of which all was asked already."""

    def due(self) -> bool:
        """Whether there is something to do without new events."""
        return self._held is None or bool(self._held.due(self._clock()))

    def begin(self, connection: Connection, position: int, names: Mapping[str, str]) -> None:
        """A transaction begins after the event `position`; `names` are those of the hosts by their ids."""
        if self._held is None:
            self._held = Held.load(connection, position, self._clock())
        if not self._warm:
            self._warm, _ = True, warming.warm(connection, self._engine.detections, position)
        if self._policy.refresh(connection):
            self._visits.forget()  # they hold windows as they were
        self._names = names
        self._alerting.begin()
        self._waiting.clear()
        self._changed.clear()
        self._again.clear()

    def host(self, host: str) -> Host:
        """The host of this id."""
        return Host(host, self._names.get(host, host))

    def take(self, connection: Connection, taken: Sequence[tuple[Delivery, Event]]) -> None:
        """The next events, in order, each with what was learned of it by now."""
        learned = {each.seq: _target(connection, each) for each, event in taken if event["kind"] == "update"}
        for each, event in taken:
            about = learned.get(each.seq, event)
            if about is not None:
                self._joining.take(connection, each.host, about, self._clock())
        settled = dict.fromkeys(self._joining.settle(connection, self._clock()))
        self._changed |= settled
        began = self._begin_visits(connection, taken)
        self._again |= {session: None for session in settled if session not in began}
        self._prepare(connection, began)
        for each, event in taken:
            host = self.host(each.host)
            if event["kind"] == "update":
                self._learn(connection, host, each.seq, event, learned[each.seq])
            elif event.get("session") is not None:
                self._see(connection, host, each.seq, event)
            elif event["kind"] in ALONE:
                self._unvisited.see(connection, host, event)

    def _begin_visits(
        self, connection: Connection, taken: Sequence[tuple[Delivery, Event]]
    ) -> dict[str, tuple[Host, Event]]:
        """The visits that begin with these events, as they should: nothing of them was judged before."""
        first: dict[str, tuple[Host, Event]] = {}
        for each, event in taken:
            if event["kind"] != "update" and event.get("session") is not None:
                first.setdefault(event["session"], (self.host(each.host), event))
        new = self._visits.begin(connection, first, taken[0][0].seq - 1)
        return {session: first[session] for session in new if first[session][1]["kind"] in OPENING}

    def _prepare(self, connection: Connection, began: Mapping[str, tuple[Host, Event]]) -> None:
        """Asks for all that is known of visits that begin together, before the first of them is judged."""
        visits = []
        for session, (host, event) in began.items():
            visited = self._visits.before(connection, session, 0)
            visited.entry = event
            visits.append((host, visited))
        know_all(connection, [visited for _, visited in visits])
        self._policy.prepare(connection, visits)
        self._known = {event["id"] for _, event in began.values()}

    def finish(self, connection: Connection, last: int) -> None:
        """All events up to `last` were dealt with: what they settle, and what the clock does."""
        decided = dict.fromkeys(self._joining.decide(connection, self._clock()))
        self._unvisited.cover(connection, self.host, self._changed | decided)
        self._prune(connection)
        for session in self._again | decided | self._waiting:
            self._told(connection, session, last)
        for session in self._held.due(self._clock()) if self._held else ():
            self._tired(connection, session, last)
        for session in approvals.outlived(connection, self._clock()) if self._policy.windows else ():
            self._outlived(connection, session, last)
        if self._held is not None:
            self._held.keep(connection)
        self._alerting.finish(connection)

    def forget(self) -> None:
        """The transaction failed: nothing of what was held may be right."""
        self._visits.forget()
        self._policy.forget()
        self._unvisited.forget()
        self._held = None
        self._joining.forget()

    def drop(self, session: str) -> None:
        """One event of this visit could not be dealt with."""
        self._visits.forget(session)
        self._alerting.drop(session)

    def _see(self, connection: Connection, host: Host, seq: int, event: Event) -> None:
        """The next event of a visit."""
        visited = self._visits.before(connection, event["session"], seq)
        visited.add(event)
        if event["kind"] in OPENING and event["id"] not in self._known:
            visited.know(connection)
        if self._holds(visited, seq) and event["kind"] != "escape":
            return  # however somebody came in, out to the host is no health check
        if event["kind"] != "escape" and self._policy.waits(connection, host, visited):
            self._waiting[visited.session] = host
            return
        opens = visited.entry is not None and visited.entry["id"] == event["id"]
        if opens or visited.approved is not None:
            # Once a window is outlived, what was found before counts too.
            changed = self._policy.stand(connection, host, visited, self._clock())
            if changed == "outlived":
                self._judge_again(connection, host, visited)
                return
        if opens or visited.around.host == "":
            self._policy.surround(connection, host, visited)
        self._alerting.visit(connection, host, visited, self._engine.evaluate(visited.now(), event))

    def _learn(
        self, connection: Connection, host: Host, seq: int, update: Event, target: Event | None
    ) -> None:
        """More is known of an earlier event: the whole visit is judged again, and its alert says it anew."""
        if target is None:
            return
        session = target.get("session")
        if session is None:
            if target["kind"] in ALONE:
                self._unvisited.see(connection, host, target)
            return
        visited = self._visits.before(connection, session, seq)
        before = self._alerting.described(host, visited) if visited.findings else None
        probe = alerts.void(visited)
        visited.complete(target)
        visited.know(connection)
        if self._holds(visited, seq):
            return
        self._judge_again(connection, host, visited)
        after = self._alerting.described(host, visited) if visited.findings else None
        if before and after and (before.title, before.sentence) != (after.title, after.sentence):
            detail = {"event": target["id"], "learned": sorted(update["set"])}
            self._alerting.note(connection, session, "entry_completed", detail)
        if after and not probe and alerts.void(visited):
            self._alerting.withdraw(connection, session)

    def _holds(self, visited: Visited, seq: int) -> bool:
        """Whether the visit is to be judged only later."""
        return self._held is not None and self._held.holds(visited.session, visited.entry, seq, self._clock())

    def _tired(self, connection: Connection, session: str, last: int) -> None:
        """What was to come has not: the visit is judged as it stands."""
        if self._held is not None:
            self._held.release(session)
        visited = self._visits.before(connection, session, last + 1)
        if visited.entry is not None:
            counters.add(connection, "detect.means_never_settled")
            self._judge_again(connection, self._host_of(connection, visited.entry), visited)

    def _told(self, connection: Connection, session: str, last: int) -> None:
        """Something else is known of a visit's record or principal: it is judged and said anew."""
        visited = self._visits.before(connection, session, last + 1)
        visited.know(connection)
        if visited.entry is None or self._holds(visited, last):
            return
        host = self._host_of(connection, visited.entry)
        if self._policy.waits(connection, host, visited, decided=True):
            return
        for detection, reason in joining.void(visited):
            self._alerting.take_back(connection, host, visited, detection, reason)
        self._judge_again(connection, host, visited)

    def _outlived(self, connection: Connection, session: str, last: int) -> None:
        """A visit goes on though its window has ended: it is none that was approved."""
        visited = self._visits.before(connection, session, last + 1)
        if visited.entry is not None:
            self._policy.outlive(connection, visited, self._clock())
            self._judge_again(connection, self._host_of(connection, visited.entry), visited)

    def _host_of(self, connection: Connection, event: Event) -> Host:
        query = select(events.c.host).where(events.c.id == event["id"])
        return self.host(connection.execute(query).scalar_one())

    def _judge_again(self, connection: Connection, host: Host, visited: Visited) -> None:
        """All of a visit, with what is known of it and allowed to it by now."""
        self._policy.stand(connection, host, visited, self._clock())
        self._policy.surround(connection, host, visited)
        found = [each for visit, judged in visited.judged() for each in self._engine.evaluate(visit, judged)]
        if visited.approved is not None and visited.approved.standing == "approved" and visited.findings:
            self._alerting.approve(connection, visited)
        self._alerting.visit(connection, host, visited, found)

    def _prune(self, connection: Connection) -> None:
        self._batches += 1
        for host in self._names if self._batches % PRUNE_EACH == 0 else ():
            counters.add(connection, "coverage.forgotten", unseen.prune(connection, host))


def _target(connection: Connection, update: Delivery) -> Event | None:
    """The event that an update completes, with all that was learned of it.

    None where it is not there, or comes later: it will be read with this update merged in.
    """
    query = select(events.c.body).where(
        events.c.id == update.event["target"], events.c.host == update.host, events.c.seq < update.seq
    )
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else completion.completed_all(connection, [body])[0][0]
