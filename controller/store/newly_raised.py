# SPDX-License-Identifier: Apache-2.0
"""Alerts that are raised for the first time, those of a batch together."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, insert, select

from controller.store import emulations
from controller.store.alert_rows import ITSELF, alert_id, finding_row, line, remember_all
from controller.store.schema import alerts, findings
from controller.store.views import CLOSED_STATES, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from controller.store.alert_rows import NewAlert, NewFinding

CHUNK: Final = 500
_ALIKE: Final = (
    select(alerts.c.likeness, alerts.c.id)
    .where(alerts.c.likeness.in_(bindparam("likeness", expanding=True)), alerts.c.state.in_(CLOSED_STATES))
    .order_by(alerts.c.changed, alerts.c.id.desc())
)
_ALERTS: Final = insert(alerts)
_FINDINGS: Final = insert(findings)


class Newly(NamedTuple):
    """An alert that there is none of yet, and what was found in its visit, one time after the other."""

    alert: NewAlert
    found: Sequence[Sequence[NewFinding]]


def raise_all(connection: Connection, raised: Sequence[Newly], now: int) -> None:
    """Raises them as if each finding had been told by itself: the history says when it became graver.

    Of two findings of one detection on one event the later one stands, unless the earlier is graver.
    ValueError: one has no finding.
    """
    for first in range(0, len(raised), CHUNK):
        _raise(connection, raised[first : first + CHUNK], now)


def _raise(connection: Connection, raised: Sequence[Newly], now: int) -> None:
    likenesses = [_likeness(each.alert, each.found[0]) for each in raised]
    asked = connection.execute(_ALIKE, {"likeness": sorted(set(likenesses))})
    repeats = {row.likeness: row.id for row in asked}  # of several the latest stands
    staged = emulations.of_alerts(connection, [each.alert for each in raised], now)
    rows: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for each, likeness, emulation in zip(raised, likenesses, staged, strict=True):
        identity = alert_id(each.alert.session)
        found: dict[tuple[str, str], NewFinding] = {}
        for one in (one for group in each.found for one in group):
            before = found.get((one.detection, one.event))
            if before is None or one.severity >= before.severity:
                found[one.detection, one.event] = one
        repeated = repeats.get(likeness)
        severities = [max(one.severity for one in group) for group in each.found]
        rows.append(
            {
                **asdict(each.alert),
                "id": identity,
                "severity": max(severities),
                "state": "new",
                "raised": now,
                "changed": now,
                "likeness": likeness,
                "repeats": repeated,
                "emulation": emulation,
            }
        )
        kept += [finding_row(identity, one) for one in found.values()]
        lines += _told(identity, severities, repeated, now)
    connection.execute(_ALERTS, rows)
    connection.execute(_FINDINGS, kept)
    remember_all(connection, lines)


def _told(identity: str, severities: Sequence[int], repeated: str | None, now: int) -> list[dict[str, Any]]:
    """The lines of its history: raised, and graver each time that something graver was found."""
    highest, *later = severities
    detail: dict[str, Any] = {"severity": SEVERITIES[highest]}
    if repeated is not None:
        detail["repeats"] = repeated
    lines = [line(identity, now, ITSELF, "raised", detail)]
    for severity in later:
        if severity > highest:
            graver = {"from": SEVERITIES[highest], "to": SEVERITIES[severity]}
            lines.append(line(identity, now, ITSELF, "escalated", graver))
            highest = severity
    return lines


def _likeness(alert: NewAlert, found: Sequence[NewFinding]) -> str:
    """What makes it like others: the gravest detections, means, host and container.

    A container that was made anew has another id and the same name.
    """
    gravest = max(each.severity for each in found)
    leading = sorted({each.detection for each in found if each.severity == gravest})
    where = alert.container_name or alert.container or alert.session
    parts = (alert.host, where, alert.image or "", alert.means, *leading)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
