# SPDX-License-Identifier: Apache-2.0
"""Stored events judged again by a rule as it is now, beside what was found then. Nothing is written.

Each visit is judged as it is known today, with its record and principal, and compared by detection: a visit is
"new" that the rule fires on and did not, "gone" that it did and does not, "same", or "graver"/"milder". What an
exception or approval withheld counts as found, for the rule did fire.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypedDict

from sqlalchemy import select

from controller.detect import alerts, asking, baseline, own, visits
from controller.detect.baseline import Normal
from controller.detect.engine import Engine
from controller.detect.rule import ALONE, JUDGED, Around, Severity, Visit
from controller.policy.knobs import Knobs
from controller.store import baselines, visitors
from controller.store.completion import completed_all
from controller.store.policy_schema import withheld
from controller.store.schema import alerts as alerts_table
from controller.store.schema import events, findings, hosts
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

    from controller.detect.catalogue import Detection
    from controller.detect.engine import Raised

CHUNK: Final = 500
END: Final = 2**62
"""Beyond any sequence number: a visit as it is known today."""

INSIDE: Final = frozenset({"connection", "contact"})
"""Kinds that belong to a visit or to none."""

Outcome = Literal["new", "gone", "same", "graver", "milder"]


class OutcomeView(TypedDict):
    """One visit, or what stands in its place in an alert, for which the rule fires or fired."""

    outcome: Outcome
    session: str
    host: str
    time: str
    time_ns: int
    severity: str | None
    """By the rule as it is now."""
    before: str | None
    """As it was found."""
    reason: str


class _Found(NamedTuple):
    host: str
    time: int
    severity: int
    reason: str


class Backtest(NamedTuple):
    """What came out: the outcomes in the order of time, what was judged, and the rule's trouble."""

    outcomes: list[OutcomeView]
    judged: int
    errors: int


def backtest(
    connection: Connection,
    detection: Detection,
    since: int,
    until: int,
    knobs: Knobs,
    progress: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Judges all visits and lone events with an event in [since, until), ns. `progress` is told how many."""
    engine = Engine([detection])
    names = {row.id: row.name for row in connection.execute(select(hosts.c.id, hosts.c.name))}
    now: dict[str, _Found] = {}
    judged = 0
    if detection.kinds & (JUDGED | INSIDE):
        for session, host in _sessions(connection, since, until):
            _add(now, session, host, _visit(connection, engine, session, host, knobs))
            judged += 1
            progress(judged)
    for host, event in _alone(connection, detection.kinds & ALONE, since, until):
        subject, found = _lone(connection, engine, host, event, knobs)
        _add(now, subject, host, found)
        judged += 1
        progress(judged)
    before = _before(connection, detection.id, since, until)
    made = [_outcome(session, before.get(session), now.get(session), names) for session in {*before, *now}]
    made.sort(key=lambda each: (each["time_ns"], each["session"]))
    return Backtest(made, judged, engine.counts[f"{detection.id}.errors"])


def _visit(connection: Connection, engine: Engine, session: str, host: str, knobs: Knobs) -> list[Raised]:
    visited = visits.load(connection, session, END)
    if visited.entry is None:
        return []
    past = visitors.StoredPast(connection, session, visited.entry["time"])
    visited.around = Around(host, knobs, past)
    found = [each for visit, event in visited.judged() for each in engine.evaluate(visit, event)]
    mine = (events.c.session == session) & events.c.kind.in_(INSIDE)
    others = connection.execute(
        select(events.c.body).where(mine).order_by(events.c.seq).limit(CHUNK)
    ).scalars()
    for event, _ in completed_all(connection, list(others)):
        found += engine.evaluate(visited.now(), event)
    return alerts.admit(visited.entry, (), found)[0]


def _lone(
    connection: Connection, engine: Engine, host: str, event: Mapping[str, object], knobs: Knobs
) -> tuple[str, list[Raised]]:
    normal = Normal()
    if event["kind"] == "record":
        if not asking.speaks(connection, event):
            return "", []
        event = asking.known(connection, host, event)
        subject, earlier = asking.subject(host, event), asking.refused_before(connection, event)
    elif event["kind"] == "activity":
        event = own.Own().known(connection, host, event)
        subject, earlier = alerts.subject(host, event), ()
        named = baseline.subjects(event["container"])  # type: ignore[arg-type]
        normal = baselines.normal(connection, named, time.time_ns())
    elif event["kind"] == "agent":
        subject, earlier = alerts.of_sensor(host), ()
    else:
        subject, earlier = alerts.subject(host, event), ()
    return subject, engine.evaluate(
        Visit(subject, None, earlier=earlier, around=Around(host, knobs), normal=normal), event
    )


def _sessions(connection: Connection, since: int, until: int) -> Iterator[tuple[str, str]]:
    """The visits that have something to judge in that time, with the ids of their hosts."""
    window = (events.c.time >= since) & (events.c.time < until) & events.c.kind.in_(JUDGED - ALONE)
    query = select(events.c.session, events.c.host).where(window, events.c.session.is_not(None)).distinct()
    last = ""
    while True:
        rows = connection.execute(
            query.where(events.c.session > last).order_by(events.c.session).limit(CHUNK)
        ).all()
        if not rows:
            return
        yield from ((row.session, row.host) for row in rows)
        last = rows[-1].session


def _alone(
    connection: Connection, kinds: frozenset[str], since: int, until: int
) -> Iterator[tuple[str, Mapping[str, object]]]:
    window = (events.c.time >= since) & (events.c.time < until) & events.c.kind.in_(kinds)
    query = select(events.c.seq, events.c.host, events.c.body).where(window, events.c.session.is_(None))
    last = 0
    while kinds:
        rows = connection.execute(query.where(events.c.seq > last).order_by(events.c.seq).limit(CHUNK)).all()
        if not rows:
            return
        whole = completed_all(connection, [row.body for row in rows])
        for row, (body, _) in zip(rows, whole, strict=True):
            if body["kind"] in {"activity", "agent", "record"} or body.get("container") is not None:
                yield row.host, body
        last = rows[-1].seq


def _before(connection: Connection, detection: str, since: int, until: int) -> dict[str, _Found]:
    """What was found, alerted or withheld."""
    told = (
        select(
            alerts_table.c.session,
            alerts_table.c.host,
            findings.c.time,
            findings.c.severity,
            findings.c.reason,
        )
        .join(alerts_table, alerts_table.c.id == findings.c.alert)
        .where(findings.c.detection == detection, findings.c.time >= since, findings.c.time < until)
    )
    kept = select(
        withheld.c.session, withheld.c.host, withheld.c.time, withheld.c.severity, withheld.c.reason
    ).where(withheld.c.detection == detection, withheld.c.time >= since, withheld.c.time < until)
    found: dict[str, _Found] = {}
    for row in (*connection.execute(told), *connection.execute(kept)):
        _keep(found, row.session, _Found(row.host, row.time, row.severity, row.reason))
    return found


def _add(found: dict[str, _Found], session: str, host: str, raised: list[Raised]) -> None:
    for each in raised:
        _keep(found, session, _Found(host, each.time, int(each.severity), each.reason))


def _keep(found: dict[str, _Found], session: str, new: _Found) -> None:
    known = found.get(session)
    if known is None or (new.severity, -new.time) > (known.severity, -known.time):
        found[session] = new


def _outcome(
    session: str, before: _Found | None, now: _Found | None, names: Mapping[str, str]
) -> OutcomeView:
    said = now or before
    assert said is not None  # noqa: S101 - of one of the two
    return {
        "outcome": _compared(before, now),
        "session": session,
        "host": names.get(said.host, said.host),
        "time": rfc3339(said.time),
        "time_ns": said.time,
        "severity": Severity(now.severity).label if now else None,
        "before": Severity(before.severity).label if before else None,
        "reason": said.reason,
    }


def _compared(before: _Found | None, now: _Found | None) -> Outcome:
    if before is None or now is None:
        return "new" if before is None else "gone"
    if before.severity == now.severity:
        return "same"
    return "graver" if now.severity > before.severity else "milder"
