# SPDX-License-Identifier: Apache-2.0
"""What people changed in how nsentry judges: who, when, what. Lines are added, never changed.

Every change of an exception, an approval or a knob writes its line in its own transaction, so the number of the
latest line says whether any of them changed. What people do with an alert is in that alert's history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import func, insert, select

from controller.store import query
from controller.store.policy_schema import audit
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


class AuditView(TypedDict):
    """One change."""

    id: int
    at: str
    at_ns: int
    actor: str
    action: str
    """exception.add | exception.remove | exception.extend | approval.add | approval.revoke | knob.set |
    knob.unset | baseline.accept | baseline.reject | baseline.approve | baseline.learning | baseline.ready |
    baseline.frozen | api_token.create | api_token.revoke"""
    object: str
    """Which: the name of the exception or knob, the number of the approval."""
    detail: dict[str, Any]


def write(
    connection: Connection, now: int, actor: str, action: str, object_: str, detail: Mapping[str, Any]
) -> None:
    """Adds a line."""
    row = {"at": now, "actor": actor, "action": action, "object": object_, "detail": dict(detail)}
    connection.execute(insert(audit).values(row))


def version(connection: Connection) -> int:
    """The number of the latest line; 0 when there is none."""
    return connection.execute(select(func.max(audit.c.id))).scalar_one() or 0


def list_(
    connection: Connection,
    *,
    action: str | None = None,
    actor: str | None = None,
    object_: str | None = None,
    since: int | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[AuditView]:
    """The latest first. `action`: whole ("exception.add") or its first part; `before`: the id of the last seen."""
    statement = select(audit).where(*query.between(audit.c.at, since, None))
    if action is not None:
        statement = statement.where((audit.c.action == action) | audit.c.action.startswith(f"{action}."))
    if actor is not None:
        statement = statement.where(audit.c.actor == actor)
    if object_ is not None:
        statement = statement.where(audit.c.object == object_)
    if before is not None:
        statement = statement.where(audit.c.id < before)
    rows = connection.execute(statement.order_by(audit.c.id.desc()).limit(limit)).mappings()
    return [
        {
            "id": row["id"],
            "at": rfc3339(row["at"]),
            "at_ns": row["at"],
            "actor": row["actor"],
            "action": row["action"],
            "object": row["object"],
            "detail": row["detail"],
        }
        for row in rows
    ]
