# SPDX-License-Identifier: Apache-2.0
"""What there is to tell after a cursor: changes of alerts, or events, as items.

A position that the destination does not want comes as None, so that the cursor passes it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select

from controller.detect import catalogue
from controller.export.destination import LEVELS
from controller.export.item import Item
from controller.store import alerts, completion
from controller.store.events import after as events_after
from controller.store.schema import alert_history, findings, hosts
from controller.store.views import CLOSED_STATES, SEVERITIES, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.export.destination import Destination
    from controller.store.views import ChangeView

EMULATION_LABEL: Final = "nsentry.emulation"
"""Label of the containers that `emulate` makes."""


class Step(NamedTuple):
    """A position of the feed, what time it is of (ns), and what to tell of it, if anything."""

    seq: int
    time: int
    item: Item | None


def steps(connection: Connection, destination: Destination, after: int, limit: int) -> list[Step]:
    """Up to `limit` positions after `after`, in order."""
    if destination.what == "events":
        return _events(connection, after, limit, frozenset(destination.kinds))
    return _alerts(connection, after, limit, destination)


def _alerts(connection: Connection, after: int, limit: int, destination: Destination) -> list[Step]:
    changes = alerts.changes(connection, after, limit)
    worst = _worst(connection, {each["alert"]["id"] for each in changes})
    told = []
    for change, item in zip(changes, items(connection, changes), strict=True):
        step = change["change"]
        wanted = worst.get(change["alert"]["id"], 0) >= destination.level
        wanted = wanted and (destination.tells_emulations or not item.emulation)
        crossed = LEVELS.get(str(step["detail"].get("from")), 4) < destination.level
        if wanted and step["action"] == "escalated" and crossed:
            told.append(
                Step(step["id"], step["at_ns"], replace(item, activity="create"))
            )  # new to the receiver
        else:
            told.append(Step(step["id"], step["at_ns"], item if wanted else None))
    return told


def items(connection: Connection, changes: Sequence[ChangeView]) -> list[Item]:
    """Each change as an item, with the alert as it stands now."""
    found = _findings(connection, {each["alert"]["id"] for each in changes})
    return [_alert_item(each, found.get(each["alert"]["id"], [])) for each in changes]


def _alert_item(
    change: ChangeView,
    found: list[dict[str, Any]],
) -> Item:
    alert, step = dict(change["alert"]), change["change"]
    named = [each for detection in change["alert"]["detections"] for each in _techniques().get(detection, ())]
    body = {**alert, "findings": found, "techniques": list(dict.fromkeys(named))}
    return Item(
        id=f"{alert['id']}-{step['id']}",
        seq=step["id"],
        what="alerts",
        activity=_activity(step["action"], step["detail"]),
        action=step["action"],
        time=step["at_ns"],
        severity=change["alert"]["severity_level"],
        host=change["alert"]["host"],
        host_id=change["alert"]["host_id"],
        body=body,
        emulation=change["alert"]["emulation"] is not None,
        detail=step["detail"],
    )


@cache
def _techniques() -> dict[str, tuple[str, ...]]:
    """ATT&CK's names of what each detection that comes with nsentry looks for."""
    return {each.id: each.techniques for each in catalogue.load_all()[0]}


def _activity(action: str, detail: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an Activity
    if action == "raised":
        return "create"
    closed = action == "withdrawn" or (action == "state" and detail.get("to") in CLOSED_STATES)
    return "close" if closed else "update"


def _worst(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """The gravest that each alert ever was: one that was told is also told of when it turns out to be less."""
    query = select(alert_history.c.alert, alert_history.c.action, alert_history.c.detail).where(
        alert_history.c.alert.in_(list(ids)),
        alert_history.c.action.in_(("raised", "escalated", "reopened")),
    )
    worst: dict[str, int] = {}
    for row in connection.execute(query):
        said = row.detail.get("to") or row.detail.get("severity")
        worst[row.alert] = max(worst.get(row.alert, 0), LEVELS.get(str(said), 0))
    return worst


def _findings(connection: Connection, ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    query = select(findings).where(findings.c.alert.in_(list(ids))).order_by(findings.c.time, findings.c.id)
    told: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        told.setdefault(row.alert, []).append(
            {
                "detection": row.detection,
                "severity": SEVERITIES[row.severity],
                "event": row.event,
                "time": rfc3339(row.time),
                "time_ns": row.time,
                "reason": row.reason,
                "fields": row.fields,
            }
        )
    return told


def _events(connection: Connection, after: int, limit: int, kinds: frozenset[str]) -> list[Step]:
    arrived = events_after(connection, after, limit)
    names = {row.id: row.name for row in connection.execute(select(hosts.c.id, hosts.c.name))}
    whole = completion.completed_all(connection, [each.body for each in arrived])
    told = []
    for each, (event, _) in zip(arrived, whole, strict=True):
        body, corrects = event, None
        if event["kind"] == "update":
            mine = event["target"].startswith(f"{each.host}/")  # no host speaks for another
            completed = completion.completed(connection, event["target"]) if mine else None
            body, corrects = (completed, event["target"]) if completed else (event, None)
        item = Item(
            id=event["id"],
            seq=each.seq,
            what="events",
            activity="event",
            action=str(event["kind"]),
            time=event["time"],
            severity=0,
            host=names.get(each.host, each.host),
            host_id=each.host,
            body=body,
            emulation=EMULATION_LABEL in ((body.get("container") or {}).get("labels") or {}),
            corrects=corrects,
        )
        wanted = not kinds or event["kind"] in kinds
        told.append(Step(each.seq, event["time"], item if wanted else None))
    return told
