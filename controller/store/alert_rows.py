# SPDX-License-Identifier: Apache-2.0
"""An alert as it is kept: what it says of its visit, its findings, and the lines of its history."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from controller.store.dialect import insert_into
from controller.store.schema import alert_history, findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.sql.dml import ReturningInsert

ITSELF = "nsentry"
"""The actor of what no person did."""


@dataclass(frozen=True, slots=True)
class NewFinding:
    """A finding to be kept: one detection fires once on one event of a visit."""

    detection: str
    severity: int
    event: str
    time: int
    reason: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewAlert:
    """What an alert says of its visit; later calls replace all of it. Times are ns."""

    session: str
    host: str
    title: str
    sentence: str
    means: str
    container: str | None
    container_name: str | None
    image: str | None
    user: str | None
    first_seen: int
    last_seen: int
    events: int
    principal: str | None = None
    """The name of whom the visit was by."""


SAID = tuple(each.name for each in fields(NewAlert) if each.name not in {"session", "host"})
_HISTORY = insert(alert_history)


def alert_id(session: str) -> str:
    """The id of a session's alert: 16 hex digits of its SHA-256, so that raising twice is once."""
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def note(connection: Connection, alert_id: str, action: str, detail: Mapping[str, Any], now: int) -> None:
    """Writes into the history what nsentry itself did ("entry_completed")."""
    remember(connection, alert_id, now, ITSELF, action, detail)


def remember(
    connection: Connection, alert_id: str, now: int, actor: str, action: str, detail: Mapping[str, Any]
) -> None:
    """Adds a line to the alert's history, which is also the change feed."""
    remember_all(connection, [line(alert_id, now, actor, action, detail)])


def line(alert_id: str, now: int, actor: str, action: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """A line of an alert's history, for `remember_all`."""
    return {"alert": alert_id, "at": now, "actor": actor, "action": action, "detail": dict(detail)}


def remember_all(connection: Connection, lines: Sequence[Mapping[str, Any]]) -> None:
    """Adds lines to the histories of alerts, in order."""
    if lines:
        connection.execute(_HISTORY, [dict(each) for each in lines])


def keep(connection: Connection, identity: str, found: Sequence[NewFinding]) -> int:
    """Stores the findings that are new or say something else than before; returns how many those are."""
    if not found:
        return 0
    rows = [finding_row(identity, each) for each in found]
    return len(connection.execute(_finding_kept(connection.dialect.name), rows).all())


@cache
def _finding_kept(dialect: str) -> ReturningInsert[Any]:
    statement = insert_into(dialect, findings)
    new = statement.excluded
    differs = (new.severity > findings.c.severity) | (
        (new.severity == findings.c.severity) & (new.reason != findings.c.reason)
    )
    said = {name: new[name] for name in ("severity", "reason", "fields")}
    statement = statement.on_conflict_do_update(
        index_elements=["alert", "detection", "event"], set_=said, where=differs
    )
    return statement.returning(findings.c.id)


def finding_row(alert: str, finding: NewFinding) -> dict[str, Any]:
    """A finding as its table has it."""
    return {
        "alert": alert,
        "detection": finding.detection,
        "severity": finding.severity,
        "event": finding.event,
        "time": finding.time,
        "reason": finding.reason,
        "fields": dict(finding.fields),
    }
