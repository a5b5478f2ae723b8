# SPDX-License-Identifier: Apache-2.0
"""How the detect worker raises alerts: one for each visit, the gravest of its findings decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import bindparam, delete, func, select, update

from controller.store import newly_raised
from controller.store.alert_rows import SAID, alert_id, keep, note
from controller.store.newly_raised import CHUNK, Newly
from controller.store.schema import alert_history, alerts, findings
from controller.store.views import CLOSED_STATES, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from controller.store.alert_rows import NewAlert, NewFinding
    from controller.store.views import AlertState

TAKEN_BACK = "taken back: "
"""How the reason of a finding begins that does not stand any more, but is all that the alert has."""

STATES = ("raised", "reopened", "state", "withdrawn")
"""Actions in the history that say or change in which state an alert is."""

Raised = Literal["raised", "escalated", "reopened", "grown", "unchanged"]


_KNOWN = select(alerts.c.id).where(alerts.c.id.in_(bindparam("alerts", expanding=True)))
_BEFORE = select(alerts.c.severity, alerts.c.state, alerts.c.emulation).where(
    alerts.c.id == bindparam("alert")
)
_REFRESH = update(alerts).where(alerts.c.id == bindparam("alert")).values({n: bindparam(n) for n in SAID})


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
        newly_raised.raise_all(connection, [Newly(alert, [found])], now)
        return "raised"
    refresh(connection, alert)
    added = keep(connection, identity, found)
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


def raise_all(connection: Connection, raised: Sequence[Newly], now: int) -> None:
    """Raises the alerts of many visits, of which most have none yet."""
    known: set[str] = set()
    for first in range(0, len(raised), CHUNK):
        asked = {"alerts": [alert_id(each.alert.session) for each in raised[first : first + CHUNK]]}
        known.update(connection.execute(_KNOWN, asked).scalars())
    newly_raised.raise_all(
        connection, [each for each in raised if alert_id(each.alert.session) not in known], now
    )
    for each in raised:
        for found in each.found if alert_id(each.alert.session) in known else ():
            raise_(connection, each.alert, found, now)


def first_seen(connection: Connection, session: str) -> int | None:
    """When the first event of the session's alert was, ns; None if it has no alert."""
    query = select(alerts.c.first_seen).where(alerts.c.id == alert_id(session))
    return connection.execute(query).scalar_one_or_none()


def refresh(connection: Connection, alert: NewAlert) -> bool:
    """Brings what an existing alert says of its visit up to date; False if the session has none."""
    row = {name: getattr(alert, name) for name in SAID}
    return connection.execute(_REFRESH, {**row, "alert": alert_id(alert.session)}).rowcount == 1


def refresh_all(connection: Connection, changed: Sequence[NewAlert]) -> None:
    """The same for many, all of which exist."""
    if changed:
        rows = [
            {**{name: getattr(each, name) for name in SAID}, "alert": alert_id(each.session)}
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
