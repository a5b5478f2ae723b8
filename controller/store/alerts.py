# SPDX-License-Identifier: Apache-2.0
"""Alerts: raised by the detect worker, read and changed by people; every change is in the history.

This module is the whole of what others use of them: what raises (`raising`), what people do (`triage`) and
which are listed (`alert_filter`) have their homes beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select

from controller.store import sessions, withheld
from controller.store.alert_filter import FACETS, AlertFilter, conditions, facets
from controller.store.alert_rows import NewAlert, NewFinding, alert_id, note
from controller.store.raising import Raised, raise_, refresh
from controller.store.schema import alert_history, alerts, findings, hosts
from controller.store.triage import ClosedError, assign, comment, set_state, state
from controller.store.views import (
    SEVERITIES,
    AlertRow,
    AlertView,
    ChangeView,
    FindingView,
    HistoryView,
    RepeatRef,
    rfc3339,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

__all__ = [
    "FACETS",
    "AlertFilter",
    "ClosedError",
    "NewAlert",
    "NewFinding",
    "Order",
    "Raised",
    "alert_id",
    "assign",
    "changes",
    "comment",
    "count",
    "facets",
    "last_change",
    "list_",
    "note",
    "raise_",
    "refresh",
    "set_state",
    "show",
    "state",
]

Order = Literal["severity", "newest"]

_FROM = alerts.join(hosts, hosts.c.id == alerts.c.host)
_ROWS = select(alerts, hosts.c.name.label("host_name")).select_from(_FROM)
_ORDERS = {
    "severity": (alerts.c.severity.desc(), alerts.c.last_seen.desc(), alerts.c.id),
    "newest": (alerts.c.last_seen.desc(), alerts.c.id),
}


def list_(
    connection: Connection,
    filters: AlertFilter | None = None,
    limit: int = 100,
    offset: int = 0,
    order: Order = "severity",
) -> list[AlertRow]:
    """By "severity": the gravest first, of these the latest seen; by "newest": the latest seen first."""
    statement = _ROWS.where(*conditions(filters or AlertFilter()))
    page = statement.order_by(*_ORDERS[order]).limit(limit).offset(offset)
    return _rows(connection, connection.execute(page).mappings().all())


def count(connection: Connection, filters: AlertFilter | None = None) -> int:
    """How many `list_` would return without a limit."""
    statement = select(func.count()).select_from(_FROM).where(*conditions(filters or AlertFilter()))
    return int(connection.execute(statement).scalar_one())


def show(connection: Connection, alert_id: str, max_events: int = sessions.SHOWN_EVENTS) -> AlertView | None:
    """One alert with findings, history and visit; None if there is none of this id."""
    row = connection.execute(_ROWS.where(alerts.c.id == alert_id)).mappings().one_or_none()
    if row is None:
        return None
    found = connection.execute(
        select(findings).where(findings.c.alert == alert_id).order_by(findings.c.time, findings.c.id)
    )
    history = connection.execute(
        select(alert_history).where(alert_history.c.alert == alert_id).order_by(alert_history.c.id)
    )
    return {
        **_rows(connection, [row])[0],
        "findings": [_finding(each) for each in found.mappings()],
        "history": [_history(each) for each in history.mappings()],
        "visit": sessions.show(connection, row["session"], max_events),
        "withheld": withheld.of_visit(connection, row["session"]),
        "repeats": _repeats(connection, row["repeats"]),
    }


def changes(connection: Connection, after: int, limit: int = 100) -> list[ChangeView]:
    """The change feed: history after the id `after`, oldest first. Ids only grow, in order of commit."""
    steps = (
        connection.execute(
            select(alert_history).where(alert_history.c.id > after).order_by(alert_history.c.id).limit(limit)
        )
        .mappings()
        .all()
    )
    if not steps:  # the usual answer to who follows
        return []
    changed = connection.execute(_ROWS.where(alerts.c.id.in_({step["alert"] for step in steps})))
    by_id = {row["id"]: row for row in _rows(connection, changed.mappings().all())}
    return [{"change": _history(step), "alert": by_id[step["alert"]]} for step in steps]


def last_change(connection: Connection) -> int:
    """The id of the latest change: where a follower begins. 0 when there is none."""
    return connection.execute(select(func.max(alert_history.c.id))).scalar_one() or 0


def _rows(connection: Connection, rows: Sequence[RowMapping]) -> list[AlertRow]:
    first = func.min(findings.c.id)
    query = (
        select(findings.c.alert, findings.c.detection)
        .where(findings.c.alert.in_([row["id"] for row in rows]))
        .group_by(findings.c.alert, findings.c.detection)
        .order_by(first)
    )
    detections: dict[str, list[str]] = {}
    for alert, detection in connection.execute(query):
        detections.setdefault(alert, []).append(detection)
    return [_row(row, detections.get(row["id"], [])) for row in rows]


def _row(row: RowMapping, detections: list[str]) -> AlertRow:
    return {
        "id": row["id"],
        "session": row["session"],
        "host": row["host_name"],
        "host_id": row["host"],
        "severity": SEVERITIES[row["severity"]],
        "severity_level": row["severity"],
        "state": row["state"],
        "title": row["title"],
        "sentence": row["sentence"],
        "means": row["means"],
        "container": {"id": row["container"], "name": row["container_name"], "image": row["image"]},
        "user": row["user"],
        "principal": row["principal"],
        "first_seen": rfc3339(row["first_seen"]),
        "first_seen_ns": row["first_seen"],
        "last_seen": rfc3339(row["last_seen"]),
        "last_seen_ns": row["last_seen"],
        "raised": rfc3339(row["raised"]),
        "raised_ns": row["raised"],
        "changed": rfc3339(row["changed"]),
        "changed_ns": row["changed"],
        "events": row["events"],
        "assignee": row["assignee"],
        "close_reason": row["close_reason"],
        "repeats_alert": row["repeats"],
        "emulation": row["emulation"],
        "detections": detections,
    }


def _repeats(connection: Connection, alert: str | None) -> RepeatRef | None:
    query = select(alerts.c.state, alerts.c.close_reason, alerts.c.changed).where(alerts.c.id == alert)
    row = connection.execute(query).one_or_none() if alert else None
    if row is None or alert is None:
        return None
    return {
        "alert": alert,
        "state": row.state,
        "reason": row.close_reason,
        "changed": rfc3339(row.changed),
        "changed_ns": row.changed,
    }


def _finding(row: RowMapping) -> FindingView:
    return {
        "id": row["id"],
        "detection": row["detection"],
        "severity": SEVERITIES[row["severity"]],
        "severity_level": row["severity"],
        "event": row["event"],
        "time": rfc3339(row["time"]),
        "time_ns": row["time"],
        "reason": row["reason"],
        "fields": row["fields"],
    }


def _history(row: RowMapping) -> HistoryView:
    return {
        "id": row["id"],
        "at": rfc3339(row["at"]),
        "at_ns": row["at"],
        "actor": row["actor"],
        "action": row["action"],
        "detail": row["detail"],
    }
