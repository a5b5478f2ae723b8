# SPDX-License-Identifier: Apache-2.0
"""Hosts and their sensors: what they last said, and what was lost or refused of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select, update

from controller.store import counters, hearing, losses, notes, schema
from controller.store.fleet_views import HostView
from controller.store.views import OPEN_STATES, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

    from sensor import wire

_h = schema.hosts


@dataclass(frozen=True, slots=True)
class Contact:
    """What a message tells of its host besides what it carries. Times are ns."""

    host: wire.Host
    sensor: str
    sent: int
    received: int
    last_event: int | None = None
    heartbeat: wire.Heartbeat | None = None


def heard(connection: Connection, contact: Contact) -> None:
    """Notes that a host spoke. Its last event and the moment never go back, whatever its clock does."""
    host = contact.host
    values: dict[str, Any] = {
        "name": host["name"],
        "kernel": host["kernel"],
        "os": host["os"],
        "arch": host["arch"],
        "boot": host["boot"],
        "sensor": contact.sensor,
        "last_seen": contact.received,
        "skew": contact.sent - contact.received,
    }
    if contact.last_event is not None:
        later = _h.c.last_event > contact.last_event
        values["last_event"] = case((later, _h.c.last_event), else_=contact.last_event)
    if contact.heartbeat is not None:
        values["heartbeat"] = contact.heartbeat
    connection.execute(update(_h).where(_h.c.id == host["id"]).values(values))


def list_(connection: Connection, *, replaced: bool = True) -> list[HostView]:
    """All hosts by name, revoked ones included; `replaced`: also those that were enrolled again since."""
    statement = select(_h).where(_h.c.kind == "host").order_by(_h.c.name, _h.c.enrolled)
    if not replaced:
        statement = statement.where(_h.c.replaced_by.is_(None))
    rows = connection.execute(statement).mappings().all()
    return _views(connection, rows)


def show(connection: Connection, host: str) -> HostView | None:
    """One host by its id or, if only one has it, by its name; None otherwise.

    A revoked host gives up its name to one that is not: a host that was enrolled again keeps its name.
    """
    rows = connection.execute(select(_h).where((_h.c.id == host) | (_h.c.name == host))).mappings().all()
    by_id = [row for row in rows if row["id"] == host]
    found = by_id or [row for row in rows if row["revoked"] is None] or rows
    if len(found) != 1:
        return None
    view = _views(connection, found)[0]
    lost = losses.by_container(connection, view["id"])
    view["losses_by_container"], view["losses_of_other_containers"] = lost
    view["notes"] = notes.latest(connection, view["id"])
    return view


def _views(connection: Connection, rows: Sequence[RowMapping]) -> list[HostView]:
    lost = losses.by_host(connection)
    refused = _refused(connection)
    alerts = _open_alerts(connection)
    heard = hearing.of_hosts(connection, time.time_ns())
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "machine": row["machine"],
            "kernel": row["kernel"],
            "os": row["os"],
            "arch": row["arch"],
            "sensor": row["sensor"],
            "enrolled": rfc3339(row["enrolled"]),
            "enrolled_ns": row["enrolled"],
            "revoked": rfc3339(row["revoked"]),
            "revoked_ns": row["revoked"],
            "replaced_by": row["replaced_by"],
            "boot": row["boot"],
            "last_seen": rfc3339(row["last_seen"]),
            "last_seen_ns": row["last_seen"],
            "last_event": rfc3339(row["last_event"]),
            "last_event_ns": row["last_event"],
            "skew_ns": row["skew"],
            "heartbeat": row["heartbeat"],
            "losses": lost.get(row["id"], {}),
            "losses_by_container": [],
            "losses_of_other_containers": 0,
            "refused": refused.get(row["id"], {}),
            "open_alerts": alerts.get(row["id"], 0),
            "sources_amiss": heard.get(row["id"], []),
            "notes": [],
        }
        for row in rows
    ]


def _refused(connection: Connection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, count in counters.all_(connection, "refused.").items():
        cause, of_host, host = name.removeprefix("refused.").partition("/")
        if of_host:
            found.setdefault(host, {})[cause] = count
    return found


def _open_alerts(connection: Connection) -> dict[str, int]:
    query = (
        select(schema.alerts.c.host, func.count().label("open"))
        .where(schema.alerts.c.state.in_(OPEN_STATES))
        .group_by(schema.alerts.c.host)
    )
    return {row.host: row.open for row in connection.execute(query)}
