# SPDX-License-Identifier: Apache-2.0
"""What people do with an alert. Each change says who made it, and is in the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from controller.store.alert_rows import remember
from controller.store.schema import alerts
from controller.store.views import CLOSED_STATES, OPEN_STATES

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from controller.store.views import AlertState

MAX_COMMENT: Final = 4096
MAX_NAME: Final = 128


class ClosedError(ValueError):
    """Somebody has closed the alert, and what would open it again was not meant to."""


def set_state(
    connection: Connection,
    alert_id: str,
    state: AlertState,
    actor: str,
    reason: str | None,
    now: int,
    *,
    reopen: bool = False,
) -> bool:
    """Moves the alert to `state`; False if there is none. ValueError: unknown state, no reason to close.

    Moving it to the state that it has already changes nothing, unless the reason is another. A closed alert
    is opened only with `reopen`, else ClosedError: who acknowledges what somebody else closed meanwhile has
    not seen that.
    """
    if state not in (*OPEN_STATES, *CLOSED_STATES):
        raise ValueError(f"no such state: {state!r}; there are {', '.join((*OPEN_STATES, *CLOSED_STATES))}")
    reason = (reason or "").strip() or None
    if state in CLOSED_STATES and reason is None:
        raise ValueError("closing an alert needs a reason")
    if reason is not None and len(reason) > MAX_COMMENT:
        raise ValueError(f"a reason has at most {MAX_COMMENT} characters")
    row = _row(connection, alert_id)
    if row is None:
        return False
    if row.state in CLOSED_STATES and state in OPEN_STATES and not reopen:
        raise ClosedError(f"the alert is closed as {row.state.replace('_', ' ')}")
    kept = reason if state in CLOSED_STATES else None
    if (row.state, row.close_reason) != (state, kept):
        _change(connection, alert_id, {"state": state, "close_reason": kept}, now)
        detail = {"from": row.state, "to": state, "reason": reason}
        remember(connection, alert_id, now, actor, "state", detail)
    return True


def state(connection: Connection, alert_id: str) -> str | None:
    """The alert's state; None if there is none."""
    row = _row(connection, alert_id)
    return None if row is None else row.state


def assign(connection: Connection, alert_id: str, assignee: str | None, actor: str, now: int) -> bool:
    """Gives the alert to `assignee`, or to nobody; False if there is none. ValueError: too long a name."""
    assignee = (assignee or "").strip() or None
    if assignee is not None and len(assignee) > MAX_NAME:
        raise ValueError(f"an assignee's name has at most {MAX_NAME} characters")
    row = _row(connection, alert_id)
    if row is None:
        return False
    if row.assignee != assignee:
        _change(connection, alert_id, {"assignee": assignee}, now)
        remember(connection, alert_id, now, actor, "assign", {"from": row.assignee, "to": assignee})
    return True


def comment(connection: Connection, alert_id: str, text: str, actor: str, now: int) -> bool:
    """Adds a comment; False if there is no such alert. ValueError: empty or over 4096 characters."""
    text = text.strip()
    if not text:
        raise ValueError("a comment needs a text")
    if len(text) > MAX_COMMENT:
        raise ValueError(f"a comment has at most {MAX_COMMENT} characters")
    if _row(connection, alert_id) is None:
        return False
    _change(connection, alert_id, {}, now)
    remember(connection, alert_id, now, actor, "comment", {"text": text})
    return True


def _row(connection: Connection, alert_id: str) -> Row[str, str | None, str | None] | None:
    query = select(alerts.c.state, alerts.c.close_reason, alerts.c.assignee).where(alerts.c.id == alert_id)
    return connection.execute(query).one_or_none()


def _change(connection: Connection, alert_id: str, values: dict[str, Any], now: int) -> None:
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values({**values, "changed": now}))
