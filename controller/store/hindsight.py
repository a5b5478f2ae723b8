# SPDX-License-Identifier: Apache-2.0
"""What an exception would have hidden of what was found: asked before it is added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from sqlalchemy import select

from controller.policy.fields import About, subject
from controller.policy.principals import asker, principal
from controller.store import api_attribution, attribution, completion, principals
from controller.store.schema import alerts, entries, events, findings, hosts
from controller.store.views import SEVERITIES, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, RowMapping

    from controller.policy.expression import Expression

CHUNK: Final = 500


class HiddenView(TypedDict):
    """An alert with findings that would have been hidden."""

    alert: str
    session: str
    title: str
    severity: str
    state: str
    last_seen: str
    last_seen_ns: int
    detections: list[str]
    """Those that would have been hidden."""
    whole: bool
    """All of its findings would have been: there would have been no alert."""


class Preview(TypedDict):
    """What an exception would have hidden since a moment."""

    since: str
    since_ns: int
    findings: int
    """Findings that were looked at."""
    hidden_findings: int
    hidden_alerts: int
    """Alerts that would not have been raised at all."""
    states: dict[str, int]
    """How the alerts were marked of which anything would have been hidden."""
    true_positives: int
    alerts: list[HiddenView]
    """True positives first, then the latest."""


class _Seen(NamedTuple):
    alert: RowMapping
    hidden: set[str]
    findings: int
    hidden_findings: int


def preview(
    connection: Connection,
    expression: Expression,
    detection: str | None,
    since: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Preview:
    """Asks the expression of every finding since `since` (ns); `progress` is told how many were."""
    seen: dict[str, _Seen] = {}
    last = asked = 0
    surroundings: dict[str, tuple[Mapping[str, Any] | None, About]] = {}
    while rows := _findings(connection, since, last):
        last = rows[-1]["finding"]
        bodies = _events(connection, [row["event"] for row in rows])
        for row in rows:
            body = bodies.get(row["event"])
            hides = False
            if body is not None and detection in {None, row["detection"]}:
                # Several queries: once for each visit, and for none that is not asked about.
                if row["session"] not in surroundings:
                    surroundings[row["session"]] = _around(connection, row)
                _, about = surroundings[row["session"]]
                finding = (row["detection"], SEVERITIES[row["level"]], row["why"])
                hides = expression.holds(subject(body, _with(about, body), finding))
            before = seen.get(row["id"]) or _Seen(row, set(), 0, 0)
            hidden = before.hidden | {row["detection"]} if hides else before.hidden
            seen[row["id"]] = _Seen(row, hidden, before.findings + 1, before.hidden_findings + hides)
        if len(surroundings) > CHUNK * 4:
            surroundings.clear()
        asked += len(rows)
        progress(asked)
    return _told(since, list(seen.values()))


def _told(since: int, seen: list[_Seen]) -> Preview:
    hit = [each for each in seen if each.hidden_findings]
    states: dict[str, int] = {}
    for each in hit:
        states[each.alert["state"]] = states.get(each.alert["state"], 0) + 1
    hit.sort(key=lambda each: (each.alert["state"] != "true_positive", -each.alert["last_seen"]))
    return {
        "since": rfc3339(since),
        "since_ns": since,
        "findings": sum(each.findings for each in seen),
        "hidden_findings": sum(each.hidden_findings for each in hit),
        "hidden_alerts": sum(each.findings == each.hidden_findings for each in hit),
        "states": states,
        "true_positives": states.get("true_positive", 0),
        "alerts": [
            {
                "alert": each.alert["id"],
                "session": each.alert["session"],
                "title": each.alert["title"],
                "severity": SEVERITIES[each.alert["severity"]],
                "state": each.alert["state"],
                "last_seen": rfc3339(each.alert["last_seen"]),
                "last_seen_ns": each.alert["last_seen"],
                "detections": sorted(each.hidden),
                "whole": each.findings == each.hidden_findings,
            }
            for each in hit
        ],
    }


def _findings(connection: Connection, since: int, last: int) -> list[RowMapping]:
    query = (
        select(
            findings.c.id.label("finding"),
            findings.c.detection,
            findings.c.severity.label("level"),
            findings.c.event,
            findings.c.reason.label("why"),
            alerts,
            hosts.c.name.label("host_name"),
        )
        .join(alerts, alerts.c.id == findings.c.alert)
        .join(hosts, hosts.c.id == alerts.c.host)
        .where(findings.c.time >= since, findings.c.id > last)
        .order_by(findings.c.id)
        .limit(CHUNK)
    )
    return list(connection.execute(query).mappings())


def _events(connection: Connection, ids: list[str]) -> dict[str, Mapping[str, Any]]:
    bodies = list(connection.execute(select(events.c.body).where(events.c.id.in_(set(ids)))).scalars())
    return {body["id"]: body for body, _ in completion.completed_all(connection, bodies)}


def _around(connection: Connection, row: RowMapping) -> tuple[Mapping[str, Any] | None, About]:
    first = (
        select(entries.c.body).where(entries.c.session == row["session"]).order_by(entries.c.time).limit(1)
    )
    entry = connection.execute(first).scalar_one_or_none()
    record = attribution.of(connection, row["session"])
    who = principal(
        entry, principals.of(connection, row["session"])[0], api_attribution.of(connection, row["session"])
    )
    return entry, About(row["host_name"], entry, record["status"] if record else None, who)


def _with(about: About, body: Mapping[str, Any]) -> About:
    """Of what belongs to no visit the event itself says who it was."""
    if about.entry is not None or body.get("request") is None:
        return about
    return about._replace(principal=asker(body["request"]))
