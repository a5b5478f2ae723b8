# SPDX-License-Identifier: Apache-2.0
"""What is forgotten, so that a controller that runs for months stays bounded; a few rows in each transaction.

    outside   records by which no visit stands, contacts and connections outside of visits, what containers do of
              themselves (its counts stay)
    probes    visits of health checks, whole

What is awaited, belongs to a visit that is kept, or is what an alert or a coverage finding stands on, stays. Events are
walked in the order in which they came; a cursor of each of both says how far, so that nothing is looked at twice.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete, func, select

from controller.store import counters, cursors
from controller.store.people_schema import principals
from controller.store.policy_schema import withheld
from controller.store.records_schema import api_attributions, attributions, records
from controller.store.schema import alerts, entries, events, findings, sessions
from controller.store.unseen_table import unseen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, Connection, RowMapping

    from controller.keeping import Bound

Kind = Literal["outside", "probes"]
KINDS: Final[tuple[Kind, ...]] = ("outside", "probes")
STEP: Final = 500
"""Events that are looked at in one transaction."""
YOUNG_NS: Final = 3_600_000_000_000
"""What came within the last hour stays, however much there is: its other half may still come."""
OUTSIDE: Final = frozenset({"record", "contact", "connection", "activity"})
DAY_NS: Final = 86_400_000_000_000
_e, _r, _s = events, records, sessions


def cursor(kind: Kind) -> str:
    """The name of the cursor up to which events were looked at."""
    return f"retention.{kind}"


def step(connection: Connection, kind: Kind, bound: Bound, now: int) -> bool:
    """Looks at the next few events and forgets what may go; whether there is more to look at.

    Nothing that the detections have not dealt with yet is looked at.
    """
    position = cursors.position(connection, cursor(kind))
    last = min(cursors.position(connection, "detect"), _held(connection))
    old = now - int(bound.days * DAY_NS)
    too_many = (connection.execute(select(func.max(_e.c.seq))).scalar_one() or 0) - bound.most
    query = (
        select(_e.c.seq, _e.c.id, _e.c.host, _e.c.kind, _e.c.session, _e.c.received, _e.c.body)
        .where(_e.c.seq > position, _e.c.seq <= last)
        .order_by(_e.c.seq)
        .limit(STEP)
    )
    found = connection.execute(query).mappings().all()
    young = now - YOUNG_NS
    due = list(
        takewhile(
            lambda row: row["received"] < young and (row["received"] < old or row["seq"] <= too_many), found
        )
    )
    if due:
        _forget(connection, kind, due)
        cursors.advance(connection, cursor(kind), due[-1].seq)
    return len(due) == STEP


def _forget(connection: Connection, kind: Kind, due: Sequence[RowMapping]) -> None:
    if kind == "outside":
        _outside(connection, [row for row in due if row["kind"] in OUTSIDE and row["session"] is None])
        return
    _probes(connection, sorted({row["session"] for row in due if row["kind"] in {"entry", "attempt"}}))


def _outside(connection: Connection, due: Sequence[RowMapping]) -> None:
    """Events of no visit, and the rows of those that are records."""
    ids = [row["id"] for row in due]
    kept = {*_among(connection, findings.c.event, ids), *_among(connection, withheld.c.event, ids)}
    kept |= {*_among(connection, unseen.c.record, ids), *_joined(connection, due)}
    going = [each for each in ids if each not in kept]
    said = [row for row in due if row["kind"] == "record" and row["id"] not in kept]
    forgotten = 0
    for row in said:
        # The key names it; another event that said the same has no row of its own.
        mine = (_r.c.host == row["host"]) & (_r.c.key == row["body"]["key"]) & (_r.c.id == row["id"])
        forgotten += connection.execute(delete(_r).where(mine)).rowcount
    gone = connection.execute(delete(_e).where(_e.c.id.in_(going))).rowcount if going else 0
    counters.add_all(connection, {"retention.records": forgotten, "retention.events": gone})


def _joined(connection: Connection, due: Sequence[RowMapping]) -> set[str]:
    """Records that belong to a visit, by what the join calls them."""
    names: dict[tuple[str, str], list[str]] = {}
    asked: dict[str, list[str]] = {}
    for row in due:
        if row["kind"] != "record":
            continue
        body = row["body"]
        names.setdefault((row["host"], f"{body['owner']}/{body['exec_id'] or body['key']}"), []).append(
            row["id"]
        )
        if body.get("request") is not None:
            asked.setdefault(body["request"]["id"], []).append(row["id"])
    a, p = attributions, api_attributions
    told = select(a.c.host, a.c.told).where(
        a.c.told.in_([name for _, name in names]), a.c.host.in_({host for host, _ in names})
    )
    found = {each for row in connection.execute(told) for each in names.get((row.host, row.told), ())}
    requests = connection.execute(select(p.c.request).where(p.c.request.in_(asked))).scalars()
    return found | {each for request in requests for each in asked[request]}


def _probes(connection: Connection, visits: Sequence[str]) -> None:
    """Visits of health checks by which no alert stands, with all that was told of them."""
    checks = select(_s.c.id).where(_s.c.id.in_(visits), _s.c.means == "probe")
    going = set(connection.execute(checks).scalars())
    going -= {*_among(connection, alerts.c.session, going), *_among(connection, withheld.c.session, going)}
    if not going:
        return
    of_them = _e.c.session.in_(going)
    told = list(connection.execute(select(_e.c.id).where(of_them)).scalars())
    gone = connection.execute(delete(_e).where(_e.c.target.in_(told))).rowcount
    gone += connection.execute(delete(_e).where(of_them)).rowcount
    for column in (entries.c.session, principals.c.session, _s.c.id):
        connection.execute(delete(column.table).where(column.in_(going)))
    counters.add_all(connection, {"retention.probes": len(going), "retention.events": gone})


def _among(connection: Connection, column: Column[str], wanted: Sequence[str] | set[str]) -> set[str]:
    return set(connection.execute(select(column).where(column.in_(wanted))).scalars())


def _held(connection: Connection) -> int:
    """Before which event the oldest visit stands that is not judged yet."""
    oldest = cursors.position(connection, "held")
    return oldest - 1 if oldest else 2**62
