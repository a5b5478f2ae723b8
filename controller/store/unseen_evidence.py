# SPDX-License-Identifier: Apache-2.0
"""What the store knows around an exec of which nobody saw the entry, for `detect.unseen` to tell the cause by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, select, text

from controller.detect.unseen import NEAR_NS
from controller.store.records_schema import records
from controller.store.schema import RARE, containers, events
from controller.store.schema_configurations import configurations

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_NOTES: Final = 200
ENDS_NS: Final = 2_000_000_000
"""How near the end of a container is to an exec that it cut off."""
_MOST: Final = 10**17
_NO_ENTRY: Final = frozenset({"kernel.lost.ordinary", "kernel.lost.commands"})
"""Losses of what a container does of itself, and of what a visit that is known does: no entry is among them."""


def notes(connection: Connection, host: str) -> list[dict[str, Any]]:
    """The latest that a host's sensor noted of its own life."""
    rare = and_(text(RARE), events.c.host == host, events.c.kind == "agent")
    query = select(events.c.body).where(rare).order_by(events.c.seq.desc()).limit(MAX_NOTES)
    return list(connection.execute(query).scalars())


def lost(connection: Connection, host: str, time: int) -> dict[str, int]:
    """Events of a host that were lost near `time`, ns by its clock, by cause."""
    span = (time - NEAR_NS, time + NEAR_NS)
    near = and_(text(RARE), events.c.host == host, events.c.kind == "loss", events.c.time.between(*span))
    found: dict[str, int] = {}
    for body in connection.execute(select(events.c.body).where(near)).scalars():
        if body["cause"] not in _NO_ENTRY:
            found[body["cause"]] = min(_MOST, found.get(body["cause"], 0) + body["count"])
    return found


def runtime(connection: Connection, host: str, container: str) -> str | None:
    """The low-level runtime of a container, as its latest configuration names it."""
    query = (
        select(configurations.c.body)
        .where(configurations.c.host == host, configurations.c.container == container)
        .order_by(configurations.c.time.desc())
        .limit(1)
    )
    settings = (connection.execute(query).scalar_one_or_none() or {}).get("settings", {})
    named: str | None = settings.get("runtime")
    return named


def ended(connection: Connection, host: str, container: str, time: int) -> bool:
    """Whether a container was ended about `time`, by its runtime's word."""
    mine = (records.c.host == host) & (records.c.container == container)
    near = records.c.time.between(time - ENDS_NS, time + ENDS_NS)
    query = select(records.c.key).where(mine, near, records.c.action.in_(("die", "destroy"))).limit(1)
    return connection.execute(query).first() is not None


def is_known(connection: Connection, host: str, container: str) -> bool:
    """Whether the sensor of a host has ever told of this container."""
    mine = (containers.c.host == host) & (containers.c.id == container)
    return connection.execute(select(containers.c.id).where(mine)).first() is not None
