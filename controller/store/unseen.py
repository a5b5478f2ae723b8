# SPDX-License-Identifier: Apache-2.0
"""Execs that a runtime told of, until an entry is found for each: the other half of the join.

A row is made by the saying that an exec began, and goes when its time is up and an entry is there. What stays is
where we were blind, with the likely cause. An entry that comes later still corrects it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from controller.detect import join, unseen
from controller.store import unseen_evidence as evidence
from controller.store import unseen_requests
from controller.store.dialect import put_new_all
from controller.store.records_schema import api_attributions, attributions, record_sources, records
from controller.store.schema import entries
from controller.store.unseen_table import unseen as table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, RowMapping

MAX_DUE: Final = 200
MAX_KEPT: Final = 10_000
"""Rows of one host that are kept; the oldest give way, and are counted."""
_NAMELESS_NS: Final = 2_000_000_000
"""How near to the beginning of an exec without a name an entry is taken to be of it."""
ELSEWHERE: Final = (
    "the sensor of this host has never seen its container: it runs on another machine, whose daemon is heard "
    "from here and which has no sensor"
)
_t, _s, _a, _e, _r = table, record_sources, attributions, entries, records
_p = api_attributions
_LATE: Final = select(func.max(_s.c.entry_delay)).where(
    _s.c.host == bindparam("host"), _s.c.source == bindparam("source")
)
_IS_DUE: Final = select(_t.c.key).where(_t.c.due <= bindparam("now")).limit(1)
_DUE: Final = select(_t).where(_t.c.due <= bindparam("now")).order_by(_t.c.due).limit(MAX_DUE)


def expect_all(connection: Connection, host: str, told: Iterable[Mapping[str, Any]], now: int) -> None:
    """`record`s came: where one says that an exec began, an entry is waited for as long as entries usually take."""
    began = [each for each in told if each["action"] == "exec_start" and each["container_id"] is not None]
    late = {
        source: connection.execute(_LATE, {"host": host, "source": source}).scalar_one() or 0
        for source in {each["source"] for each in began}
    }
    put_new_all(connection, _t, [_expected(host, each, late[each["source"]], now) for each in began])


def _expected(host: str, event: Mapping[str, Any], late: int, now: int) -> dict[str, Any]:
    return {
        "host": host,
        "key": f"{event['owner']}/{event['exec_id'] or event['key']}",
        "record": event["id"],
        "container": event["container_id"],
        "source": event["source"],
        "exec_id": event["exec_id"],
        "time": event["time"],
        "arrived": now,
        "due": now + join.deadline(late),
        "status": "awaited",
    }


def due(connection: Connection, now: int) -> bool:
    """Whether the time of some exec is up."""
    return connection.execute(_IS_DUE, {"now": now}).first() is not None


def decide(connection: Connection, now: int) -> list[dict[str, Any]]:
    """Judges what has waited long enough, a bounded number; the rows for which no entry is there."""
    missing = []
    for row in connection.execute(_DUE, {"now": now}).mappings().all():
        mine = and_(_t.c.host == row["host"], _t.c.key == row["key"])
        arrived = _entered(connection, row)
        if arrived is not None:
            _learn(connection, dict(row), max(0, arrived - row["arrived"]))
            connection.execute(delete(_t).where(mine))
            continue
        known = _evidence(connection, row)
        if row["source"] != "kubernetes" and _before_the_first(known):
            connection.execute(delete(_t).where(mine))
            continue
        cause, reason = unseen.explain(known)
        status = "failed" if cause == "failed" else "unseen"
        values = {"status": status, "cause": cause, "reason": reason, "due": None, "decided": now}
        connection.execute(update(_t).where(mine).values(values))
        missing.append({**row, **values})
    return missing


def found(connection: Connection, sessions: Iterable[str], now: int) -> list[dict[str, Any]]:
    """What was taken for unseen and has an entry after all, by visits that the join says something new of."""
    visits, mistaken = list(sessions), _t.c.status.in_(("unseen", "failed"))
    by_runtime = (
        select(_t, _a.c.arrived.label("came"))
        .join(_a, and_(_a.c.host == _t.c.host, _a.c.told == _t.c.key))
        .where(_a.c.session.in_(visits), mistaken)
    )
    # The host of a request is the cluster that told of it.
    by_api = (
        select(_t, _p.c.arrived.label("came"))
        .join(_p, _p.c.request == _t.c.key)
        .where(_p.c.session.in_(visits), _t.c.source == "kubernetes", mistaken)
    )
    corrected = []
    for row in [
        each for query in (by_runtime, by_api) for each in connection.execute(query).mappings().all()
    ]:
        late = max(0, row["came"] - row["arrived"])
        values = {
            "status": "seen",
            "reason": f"its entry came {late / 1e9:.1f} s after the record",
            "decided": now,
        }
        connection.execute(update(_t).where(_t.c.host == row["host"], _t.c.key == row["key"]).values(values))
        _learn(connection, dict(row), late)
        corrected.append({**row, **values})
    return corrected


def _entered(connection: Connection, row: RowMapping) -> int | None:
    """When the entry of an exec arrived, by the controller's clock; None while there is none.

    A health check has no attribution: its entry is looked at itself.
    """
    joined: int | None = (
        connection.execute(
            select(_a.c.arrived).where(
                _a.c.host == row["host"], _a.c.container == row["container"], _a.c.told == row["key"]
            )
        )
        .scalars()
        .first()
    )
    if joined is not None:
        return joined
    if row["source"] == "kubernetes":
        return unseen_requests.entered(connection, row)
    if row["exec_id"] is None:
        return _somebody(connection, row)
    near = _e.c.time.between(row["time"] - join.WINDOW_NS, row["time"] + join.EXACT_WINDOW_NS)
    same = [_e.c.body["exec_id"].as_string() == row["exec_id"]]
    pids = _pids(connection, row)
    if pids:
        same.append(_e.c.body["process"]["pid"].as_integer().in_(pids))
    there = select(_e.c.id).where(_e.c.host == row["host"], near, or_(*same)).limit(1)
    return None if connection.execute(there).first() is None else int(row["arrived"])


def _somebody(connection: Connection, row: RowMapping) -> int | None:
    """As _entered, of podman's exec that has no name: whether anybody came in just then."""
    near = _e.c.time.between(row["time"] - _NAMELESS_NS, row["time"] + _NAMELESS_NS)
    mine = and_(_e.c.host == row["host"], _e.c.container == row["container"], near)
    there = connection.execute(select(_e.c.id).where(mine).limit(1)).first()
    return None if there is None else int(row["arrived"])


def _said(row: RowMapping) -> ColumnElement[bool]:
    """What was said of an exec; of podman's that has no name, what was said without one soon after."""
    if row["exec_id"] is not None:
        return and_(_r.c.host == row["host"], _r.c.exec_id == row["exec_id"])
    soon = _r.c.time.between(row["time"], row["time"] + join.WINDOW_NS)
    mine = and_(_r.c.host == row["host"], _r.c.container == row["container"], _r.c.exec_id.is_(None))
    return and_(mine, soon, _r.c.action.in_(("exec_start", "exec_die")))


def _pids(connection: Connection, row: RowMapping) -> list[int]:
    return list(connection.execute(select(_r.c.pid).where(_said(row), _r.c.pid.is_not(None))).scalars())


def _evidence(connection: Connection, row: RowMapping) -> unseen.Evidence:
    if row["source"] == "kubernetes":
        return unseen_requests.evidence(connection, row)
    said = list(connection.execute(select(_r.c.body).where(_said(row)).limit(100)).scalars())
    return unseen.Evidence(
        time=row["time"],
        gone=evidence.ended(connection, row["host"], row["container"], row["time"]),
        blind=None if evidence.is_known(connection, row["host"], row["container"]) else ELSEWHERE,
        runtime=evidence.runtime(connection, row["host"], row["container"]),
        codes=frozenset(
            each["code"] for each in said if each["action"] == "exec_die" and each["code"] is not None
        ),
        pids=frozenset(each["pid"] for each in said if each["pid"] is not None),
        notes=evidence.notes(connection, row["host"]),
        lost=evidence.lost(connection, row["host"], row["time"]),
    )


def _before_the_first(known: unseen.Evidence) -> bool:
    """Whether the host had no sensor yet when it was said: a new sensor is told the last second before it."""
    return (
        bool(known.notes)
        and len(known.notes) < evidence.MAX_NOTES
        and known.time < min(note.get("since") or note["time"] for note in known.notes)
    )


def _learn(connection: Connection, row: Mapping[str, Any], late: int) -> None:
    """How late entries come after the records of a source; written only where it changes by much."""
    of_it = and_(_s.c.host == row["host"], _s.c.source == row["source"])
    for known in set(connection.execute(select(_s.c.entry_delay).where(of_it)).scalars()):
        learned = join.learned(known, late)
        if learned > known or known - learned > 10**8:
            connection.execute(update(_s).where(of_it, _s.c.entry_delay == known).values(entry_delay=learned))


def prune(connection: Connection, host: str) -> int:
    """Keeps the latest MAX_KEPT of a host; how many gave way."""
    edge = connection.execute(
        select(_t.c.time)
        .where(_t.c.host == host, _t.c.due.is_(None))
        .order_by(_t.c.time.desc())
        .offset(MAX_KEPT)
        .limit(1)
    ).scalar_one_or_none()
    if edge is None:
        return 0
    return connection.execute(
        delete(_t).where(_t.c.host == host, _t.c.due.is_(None), _t.c.time <= edge)
    ).rowcount
