# SPDX-License-Identifier: Apache-2.0
"""Visits as they stand at one event of the bus: in memory while they go on, read from the store after a gap.

A visit is a function of the events up to a sequence number, so a worker that begins again in the middle
judges every event with the same visit before its eyes as the one that was killed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, func, select

from controller.detect.baseline import Normal, subjects
from controller.detect.engine import Raised
from controller.detect.rule import Around, Severity, Visit
from controller.store import api_attribution, approvals, attribution, baselines, completion, principals
from controller.store import withheld as kept_back
from controller.store.alert_rows import alert_id
from controller.store.schema import events, findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from controller.detect.rule import Event
    from controller.policy.approval import Approval
    from controller.store.approvals import Standing
    from controller.store.withheld import Because

OPENING: Final = ("entry", "escape", "attempt")
"""The kinds that open a visit: of several in one, the first that is of the first of these kinds did."""
KEPT: Final = 500
"""Executions of a visit that rules can look back on: enough for a person's whole afternoon."""
CACHED: Final = 1024
"""Visits held in memory; one that is not among them is read again."""
MAX_EXECUTIONS: Final = 32_000
"""Executions of all visits that are held in memory."""
CHUNK: Final = 500
"""Sessions that one query asks for."""
MAX_REMEMBERED: Final = 8192
"""Characters of a command line that is looked back on. Longer ones are judged whole when they come; what is
kept of them is bounded, for whoever is inside chooses how long they are and how many."""


class Withheld(NamedTuple):
    """A finding that is not alerted, and why: by an exception of this name, or the approval of this number."""

    finding: Raised
    because: Because
    name: str


class Approved(NamedTuple):
    """The window that a visit is within, or outlived."""

    approval: Approval
    standing: Standing


@dataclass(slots=True)
class Visited:
    """What the worker knows of a visit. `findings` are those that its alert has, `withheld` those that it has not."""

    session: str
    entry: Event | None = None
    executions: list[Event] = field(default_factory=list)
    findings: tuple[Raised, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    record: Mapping[str, Any] | None = None
    api: Mapping[str, Any] | None = None
    earlier: tuple[Event, ...] = ()
    principal: Mapping[str, Any] | None = None
    new_in: tuple[str, ...] = ()
    approved: Approved | None = None
    around: Around = field(default_factory=Around)
    normal: Normal = field(default_factory=Normal)
    events: int = 0
    commands: int = 0
    first_seen: int | None = None
    last_seen: int | None = None

    def add(self, event: Event) -> None:
        """Takes in the next event of the visit."""
        self.events += 1
        self.first_seen = min(self.first_seen or event["time"], event["time"])
        self.last_seen = max(self.last_seen or event["time"], event["time"])
        self.commands += event["kind"] == "command"
        rank = OPENING.index(event["kind"]) if event["kind"] in OPENING else len(OPENING)
        if rank < (len(OPENING) if self.entry is None else OPENING.index(self.entry["kind"])):
            self.entry = (
                event  # the first entry, else the first escape or attempt, as the session's row has it
            )
        if _executes(event):
            self.executions.append(_remembered(event))
            del self.executions[:-KEPT]

    def know(self, connection: Connection) -> None:
        """What is known by now of its record, of the request to its API server, of who it was, of what is normal."""
        know_all(connection, [self])

    def complete(self, event: Event) -> None:
        """Puts `event`, which has learned more, in the place of what it was."""
        if self.entry is not None and self.entry["id"] == event["id"]:
            self.entry = event
        kept = _remembered(event)
        self.executions = [kept if each["id"] == event["id"] else each for each in self.executions]

    def judged(self) -> list[tuple[Visit, Event]]:
        """Each event that rules judge, with the visit as it was then: to judge all of it again."""
        whole = [self._up_to(position) for position in range(len(self.executions))]
        if self.entry is not None and self.entry.get("process") is None:
            whole.insert(0, (self._seen(()), self.entry))
        return whole

    def of_event(self, event: str) -> Event | None:
        """One of its events, by its id, among those that are remembered."""
        known = (each for each in (*self.executions, self.entry) if each is not None and each["id"] == event)
        return next(known, None)

    def _up_to(self, position: int) -> tuple[Visit, Event]:
        seen = tuple(self.executions[: position + 1])
        return self._seen(seen), seen[-1]

    def _seen(self, executions: tuple[Event, ...]) -> Visit:
        return Visit(
            self.session,
            self.entry,
            executions,
            self.record,
            self.api,
            self.earlier,
            self.principal,
            self.new_in,
            self.around,
            self.normal,
        )

    def now(self) -> Visit:
        """The visit up to its latest event."""
        return self._seen(tuple(self.executions))


def know_all(connection: Connection, visits: Sequence[Visited]) -> None:
    """As `Visited.know`, for many with few questions."""
    for first in range(0, len(visits), CHUNK):
        part = visits[first : first + CHUNK]
        sessions = [each.session for each in part]
        recorded = attribution.of_all(connection, sessions)
        asked = api_attribution.of_all(connection, sessions)
        by = principals.of_all(connection, sessions)
        for each in part:
            each.record, each.api = recorded.get(each.session), asked.get(each.session)
            each.principal, each.new_in = by.get(each.session, (None, ()))
    now, normal = time.time_ns(), dict[tuple[str, ...], Normal]()
    for each in visits:
        if each.entry is not None and each.entry["container"]["id"] is not None:
            named = subjects(each.entry["container"])
            if named not in normal:
                normal[named] = baselines.normal(connection, named, now)
            each.normal = normal[named]


def _executes(event: Event) -> bool:
    """Whether the event tells of a program. Of one that an escape executed in a session, a command tells too."""
    if event["kind"] == "escape":
        return event["session"] == event["id"] and event["process"] is not None
    return event["kind"] in {"entry", "command"}


def _remembered(event: Event) -> Event:
    """The event with as much of its command line as is looked back on."""
    argv = event["process"]["argv"] if event.get("process") is not None else None
    if argv is None or sum(map(len, argv)) <= MAX_REMEMBERED:
        return event
    ends = accumulate(map(len, argv))
    kept = [argument for argument, end in zip(argv, ends, strict=True) if end <= MAX_REMEMBERED]
    return {**event, "process": {**event["process"], "argv": kept, "argv_cut": True}}


_EARLIER: Final = (
    select(events.c.session)
    .where(events.c.session.in_(bindparam("sessions", expanding=True)), events.c.seq <= bindparam("position"))
    .distinct()
)


class Visits:
    """The visits that go on. `forget` what a transaction that failed may have left in them."""

    def __init__(self) -> None:
        self._by_session: OrderedDict[str, Visited] = OrderedDict()
        self._executions: dict[str, int] = {}
        self._held = 0
        """Executions of all of them, as many as each had when it was looked at last."""

    def begin(self, connection: Connection, sessions: Iterable[str], position: int) -> set[str]:
        """Those of `sessions` that have no event up to `position` of the bus: nothing of them has to be read."""
        unknown = [each for each in sessions if each not in self._by_session]
        earlier: set[str] = set()
        for first in range(0, len(unknown), CHUNK):
            asked = {"sessions": unknown[first : first + CHUNK], "position": position}
            earlier.update(connection.execute(_EARLIER, asked).scalars())
        new = set(unknown) - earlier
        self._by_session.update((each, Visited(each)) for each in unknown if each in new)
        return new

    def before(self, connection: Connection, session: str, seq: int) -> Visited:
        """The visit as it stood just before the event `seq` of the bus; empty when that is its first."""
        visited = self._by_session.pop(session, None) or load(connection, session, seq)
        self._by_session[session] = visited
        self._held += len(visited.executions) - self._executions.get(session, 0)
        self._executions[session] = len(visited.executions)
        while len(self._by_session) > CACHED or (self._held > MAX_EXECUTIONS and len(self._by_session) > 1):
            self.forget(next(iter(self._by_session)))
        return visited

    def forget(self, session: str | None = None) -> None:
        """Drops one visit, or all: the next look reads the store."""
        if session is None:
            self._by_session.clear()
            self._executions.clear()
            self._held = 0
        else:
            self._by_session.pop(session, None)
            self._held -= self._executions.pop(session, 0)


def load(connection: Connection, session: str, before: int) -> Visited:
    """The visit from the events with a sequence number below `before`, updates merged in."""
    mine = (events.c.session == session) & (events.c.seq < before)
    totals = connection.execute(
        select(func.count(), func.min(events.c.time), func.max(events.c.time)).where(mine)
    ).one()
    visited = Visited(session)
    if totals[0] == 0:
        return visited
    for kind in OPENING:
        if visited.entry is None:
            first = _bodies(connection, mine & (events.c.kind == kind), events.c.seq, 1)
            visited.entry = first[0] if first else None
    executed = mine & events.c.kind.in_(("entry", "escape", "command"))
    latest = _bodies(connection, executed, events.c.seq.desc(), KEPT)[::-1]
    visited.executions = [_remembered(event) for event in latest if _executes(event)]
    visited.events, visited.first_seen, visited.last_seen = totals
    visited.commands = connection.execute(
        select(func.count()).where(mine, events.c.kind == "command")
    ).scalar_one()
    visited.findings = stored_findings(connection, session)
    visited.withheld = _withheld(connection, session)
    stood = approvals.stood(connection, session)
    visited.approved = Approved(*stood) if stood else None
    visited.know(connection)
    return visited


def _bodies(
    connection: Connection, condition: ColumnElement[bool], order: ColumnElement[int], limit: int
) -> list[Event]:
    query = select(events.c.body).where(condition).order_by(order).limit(limit)
    bodies = list(connection.execute(query).scalars())
    return [event for event, _ in completion.completed_all(connection, bodies)]


def stored_findings(connection: Connection, session: str) -> tuple[Raised, ...]:
    """Those that the alert of a session, or of what stands in the place of one, has."""
    query = select(findings).where(findings.c.alert == alert_id(session)).order_by(findings.c.id)
    return tuple(
        Raised(row.detection, Severity(row.severity), row.event, row.time, row.reason, row.fields)
        for row in connection.execute(query)
    )


def _withheld(connection: Connection, session: str) -> tuple[Withheld, ...]:
    return tuple(
        Withheld(
            Raised(row["detection"], Severity(row["severity_level"]), row["event"], row["time_ns"], row["reason"],
                   row["fields"]),
            row["because"],
            row["name"],
        )
        for row in kept_back.of_visit(connection, session, KEPT)
    )  # fmt: skip
