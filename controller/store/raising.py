# SPDX-License-Identifier: Apache-2.0
"""How the detect worker raises alerts: one for each visit, the gravest of its findings decides."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import bindparam, delete, func, insert, select, update

from controller.store import emulations
from controller.store.dialect import insert_into
from controller.store.schema import alert_history, alerts, findings
from controller.store.views import CLOSED_STATES, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.sql.dml import ReturningInsert

    from controller.store.views import AlertState

TAKEN_BACK = "taken back: "
"""How the reason of a finding begins that does not stand any more, but is all that the alert has."""
ITSELF = "nsentry"
"""The actor of what no person did."""

STATES = ("raised", "reopened", "state", "withdrawn")
"""Actions in the history that say or change in which state an alert is."""

Raised = Literal["raised", "escalated", "reopened", "grown", "unchanged"]


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


_SAID = tuple(each.name for each in fields(NewAlert) if each.name not in {"session", "host"})
_BEFORE = select(alerts.c.severity, alerts.c.state, alerts.c.emulation).where(
    alerts.c.id == bindparam("alert")
)
_REFRESH = update(alerts).where(alerts.c.id == bindparam("alert")).values({n: bindparam(n) for n in _SAID})
_ALIKE = (
    select(alerts.c.id)
    .where(alerts.c.likeness == bindparam("likeness"), alerts.c.state.in_(CLOSED_STATES))
    .order_by(alerts.c.changed.desc(), alerts.c.id)
    .limit(1)
)
_HISTORY = insert(alert_history)
_NEW = insert(alerts)


def alert_id(session: str) -> str:
    """The id of a session's alert: 16 hex digits of its SHA-256, so that raising twice is once."""
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def raise_(connection: Connection, alert: NewAlert, found: Sequence[NewFinding], now: int) -> Raised:
    """Raises the visit's alert or adds to it; findings that it already has change nothing.

    One detection's finding on one event is judged again when more is known of the event: then the new one
    takes the place of the old, unless that is graver. A closed alert is reopened ("reopened") only by a
    finding graver than all that its closer saw; by others it stays closed, and its history says once that the
    visit went on ("regressed"). One that was withdrawn is opened by any new finding. ValueError: an alert that
    does not exist yet needs a finding.
    """
    identity = alert_id(alert.session)
    before = connection.execute(_BEFORE, {"alert": identity}).one_or_none()
    if before is None:
        _raise_new(connection, identity, alert, found, now)
        return "raised"
    refresh(connection, alert)
    added = _keep(connection, identity, found)
    highest = max((each.severity for each in found), default=0)
    if before.emulation is not None and before.state in CLOSED_STATES:
        return "grown" if added else "unchanged"  # staged, and dealt with: what comes late opens nothing
    if highest > before.severity:
        return _escalate(connection, identity, (before.severity, highest), before.state, now)
    if added and before.state in CLOSED_STATES and _latest(connection, identity, STATES) == "withdrawn":
        return _reopen(connection, identity, before.state, now)
    if added:
        connection.execute(update(alerts).where(alerts.c.id == identity).values(changed=now))
        if before.state in CLOSED_STATES:
            _regress(connection, identity, found, now)
    return "grown" if added else "unchanged"


def first_seen(connection: Connection, session: str) -> int | None:
    """When the first event of the session's alert was, ns; None if it has no alert."""
    query = select(alerts.c.first_seen).where(alerts.c.id == alert_id(session))
    return connection.execute(query).scalar_one_or_none()


def refresh(connection: Connection, alert: NewAlert) -> bool:
    """Brings what an existing alert says of its visit up to date; False if the session has none."""
    row = {name: getattr(alert, name) for name in _SAID}
    return connection.execute(_REFRESH, {**row, "alert": alert_id(alert.session)}).rowcount == 1


def refresh_all(connection: Connection, changed: Sequence[NewAlert]) -> None:
    """The same for many, all of which exist."""
    if changed:
        rows = [
            {**{name: getattr(each, name) for name in _SAID}, "alert": alert_id(each.session)}
            for each in changed
        ]
        connection.execute(_REFRESH, rows)


def withdraw(
    connection: Connection, alert_id: str, reason: str, now: int, closed: AlertState = "false_positive"
) -> bool:
    """Closes an alert that was raised on what was no visit, or an approved one; whether there was one to close.

    One that a person has dealt with stays as it is.
    """
    state = connection.execute(select(alerts.c.state).where(alerts.c.id == alert_id)).scalar_one_or_none()
    if state is None or (state in CLOSED_STATES and _latest(connection, alert_id, STATES) == "withdrawn"):
        return False
    after = closed if state == "new" else state
    values: dict[str, Any] = {"changed": now}
    if after != state:
        values |= {"state": after, "close_reason": reason}
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values(values))
    note(connection, alert_id, "withdrawn", {"from": state, "to": after, "reason": reason}, now)
    return True


def take_back(
    connection: Connection, session: str, detection: str, reason: str, now: int, *, event: str | None = None
) -> bool:
    """Removes one detection's findings from the visit's alert, which says so in its history; whether it had any.

    The alert is as grave as what is left; one that had nothing else is withdrawn. `event`: only the finding on it.
    """
    identity = alert_id(session)
    of_it = findings.c.alert == identity
    this = findings.c.detection == detection
    if event is not None:
        this &= findings.c.event == event
    ours = of_it & this
    if connection.execute(select(findings.c.id).where(ours).limit(1)).first() is None:
        return False
    left = connection.execute(select(func.max(findings.c.severity)).where(of_it, ~this)).scalar_one()
    if left is None:
        connection.execute(update(findings).where(ours).values(severity=1, reason=f"{TAKEN_BACK}{reason}"))
        connection.execute(update(alerts).where(alerts.c.id == identity).values(severity=1))
        withdraw(connection, identity, reason, now)
        return True
    connection.execute(delete(findings).where(ours))
    connection.execute(update(alerts).where(alerts.c.id == identity).values(severity=left, changed=now))
    detail = {"detection": detection, "reason": reason, "severity": SEVERITIES[left]}
    note(connection, identity, "taken_back", detail, now)
    return True


def note(connection: Connection, alert_id: str, action: str, detail: Mapping[str, Any], now: int) -> None:
    """Writes into the history what nsentry itself did ("entry_completed")."""
    remember(connection, alert_id, now, ITSELF, action, detail)


def remember(
    connection: Connection, alert_id: str, now: int, actor: str, action: str, detail: Mapping[str, Any]
) -> None:
    """Adds a line to the alert's history, which is also the change feed."""
    row = {"alert": alert_id, "at": now, "actor": actor, "action": action, "detail": dict(detail)}
    connection.execute(_HISTORY, row)


def _raise_new(
    connection: Connection, identity: str, alert: NewAlert, found: Sequence[NewFinding], now: int
) -> None:
    severity = max(each.severity for each in found)
    row: dict[str, Any] = {
        "id": identity,
        "severity": severity,
        "state": "new",
        "raised": now,
        "changed": now,
    }
    row |= _repeats(connection, alert, found)
    row["emulation"] = emulations.of_alert(connection, alert.host, alert.container, alert.title, now)
    connection.execute(_NEW, {**asdict(alert), **row})
    _keep(connection, identity, found)
    detail: dict[str, Any] = {"severity": SEVERITIES[severity]}
    if row["repeats"] is not None:
        detail["repeats"] = row["repeats"]
    note(connection, identity, "raised", detail, now)


def _repeats(connection: Connection, alert: NewAlert, found: Sequence[NewFinding]) -> dict[str, Any]:
    """What makes it like others: the gravest detections, means, host and container; and the last alike resolved.

    A container that was made anew has another id and the same name.
    """
    gravest = max(each.severity for each in found)
    leading = sorted({each.detection for each in found if each.severity == gravest})
    where = alert.container_name or alert.container or alert.session
    parts = (alert.host, where, alert.image or "", alert.means, *leading)
    likeness = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    repeats = connection.execute(_ALIKE, {"likeness": likeness}).scalar_one_or_none()
    return {"likeness": likeness, "repeats": repeats}


def _escalate(
    connection: Connection, identity: str, severity: tuple[int, int], state: str, now: int
) -> Raised:
    values: dict[str, Any] = {"severity": severity[1], "changed": now}
    detail = {"from": SEVERITIES[severity[0]], "to": SEVERITIES[severity[1]]}
    reopened = state in CLOSED_STATES
    if reopened:
        values |= {"state": "new", "close_reason": None}
        detail["closed_as"] = state
    connection.execute(update(alerts).where(alerts.c.id == identity).values(values))
    note(connection, identity, "reopened" if reopened else "escalated", detail, now)
    return "reopened" if reopened else "escalated"


def _reopen(connection: Connection, identity: str, state: str, now: int) -> Raised:
    values = {"state": "new", "close_reason": None, "changed": now}
    connection.execute(update(alerts).where(alerts.c.id == identity).values(values))
    note(connection, identity, "reopened", {"closed_as": state}, now)
    return "reopened"


def _regress(connection: Connection, identity: str, found: Sequence[NewFinding], now: int) -> None:
    """Says once after each change by a person that a closed alert's visit had more findings."""
    if _latest(connection, identity) != "regressed":
        detail = {"detections": sorted({each.detection for each in found})}
        note(connection, identity, "regressed", detail, now)


def _latest(connection: Connection, identity: str, among: Sequence[str] = ()) -> str | None:
    """The last action in the alert's history, of all or of some."""
    query = select(alert_history.c.action).where(alert_history.c.alert == identity)
    if among:
        query = query.where(alert_history.c.action.in_(among))
    return connection.execute(query.order_by(alert_history.c.id.desc()).limit(1)).scalar_one_or_none()


def _keep(connection: Connection, identity: str, found: Sequence[NewFinding]) -> int:
    """Stores the findings that are new or say something else than before; returns how many those are."""
    if not found:
        return 0
    rows = [_finding(identity, each) for each in found]
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


def _finding(alert: str, finding: NewFinding) -> dict[str, Any]:
    return {
        "alert": alert,
        "detection": finding.detection,
        "severity": finding.severity,
        "event": finding.event,
        "time": finding.time,
        "reason": finding.reason,
        "fields": dict(finding.fields),
    }
