# SPDX-License-Identifier: Apache-2.0
"""Findings that are not alerted, because an exception or an approval says so: kept whole, counted, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete, select

from controller.store.dialect import insert
from controller.store.policy_schema import withheld
from controller.store.views import SEVERITIES, WithheldView, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

    from controller.store.alert_rows import NewFinding

Because = Literal["exception", "approval"]
SHOWN: Final = 200
_w = withheld


def keep(
    connection: Connection,
    session: str,
    host: str,
    found: Sequence[tuple[NewFinding, Because, str]],
    now: int,
) -> int:
    """Keeps the findings of one visit that are withheld; returns how many are new."""
    if not found:
        return 0
    known = {(row["detection"], row["event"]) for row in _rows(connection, session, len(found) + 10_000)}
    statement = insert(connection, _w)
    new = statement.excluded
    said = {name: new[name] for name in ("severity", "reason", "fields", "because", "name")}
    statement = statement.on_conflict_do_update(index_elements=["session", "detection", "event"], set_=said)
    rows = [
        {
            "session": session,
            "host": host,
            "detection": finding.detection,
            "event": finding.event,
            "severity": finding.severity,
            "time": finding.time,
            "reason": finding.reason,
            "fields": dict(finding.fields),
            "because": because,
            "name": name,
            "at": now,
        }
        for finding, because, name in found
    ]
    connection.execute(statement, rows)
    return sum((row["detection"], row["event"]) not in known for row in rows)


def release(connection: Connection, session: str, keys: Sequence[tuple[str, str]]) -> None:
    """These (detection, event) are alerted after all."""
    for detection, event in keys:
        same = (_w.c.session == session) & (_w.c.detection == detection) & (_w.c.event == event)
        connection.execute(delete(_w).where(same))


def of_visit(connection: Connection, session: str, limit: int = SHOWN) -> list[WithheldView]:
    """Those of one visit (or what stands in its place in an alert), in the order of time."""
    return [_view(row) for row in _rows(connection, session, limit)]


def by(connection: Connection, because: Because, name: str, limit: int = SHOWN) -> list[WithheldView]:
    """What one exception or approval withheld, the latest first."""
    mine = (_w.c.because == because) & (_w.c.name == name)
    rows = connection.execute(select(_w).where(mine).order_by(_w.c.time.desc(), _w.c.id).limit(limit))
    return [_view(row) for row in rows.mappings()]


def _rows(connection: Connection, session: str, limit: int) -> list[RowMapping]:
    query = select(_w).where(_w.c.session == session).order_by(_w.c.time, _w.c.id).limit(limit)
    return list(connection.execute(query).mappings())


def _view(row: RowMapping) -> WithheldView:
    return {
        "session": row["session"],
        "detection": row["detection"],
        "severity": SEVERITIES[row["severity"]],
        "severity_level": row["severity"],
        "event": row["event"],
        "time": rfc3339(row["time"]),
        "time_ns": row["time"],
        "reason": row["reason"],
        "fields": row["fields"],
        "because": row["because"],
        "name": row["name"],
    }
