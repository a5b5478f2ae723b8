# SPDX-License-Identifier: Apache-2.0
"""What the sensors reported as lost: by cause, and by container where a loss is of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import case, func, select, text

from controller.store.fleet_views import ContainerLoss
from controller.store.schema import RARE, containers, events

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST: Final = 2**40
"""What one report of a loss counts for at most."""
SHOWN: Final = 50
"""Containers of a host that are named, those that lost most; of the others the sum is told."""

_CAUSE = events.c.body["cause"].as_string()
_OF = events.c.body["container_id"].as_string()
_COUNT = events.c.body["count"].as_integer()
# A sensor may say any number that 64 bits hold; their sum would not be one, and no page would open again.
_LOST = func.sum(case((_COUNT > MOST, MOST), else_=_COUNT))
_IS_LOSS = (text(RARE), events.c.kind == "loss")


def by_host(connection: Connection) -> dict[str, dict[str, int]]:
    """Of each host, by cause."""
    query = (
        select(events.c.host, _CAUSE.label("cause"), _LOST.label("lost"))
        .where(*_IS_LOSS)
        .group_by(events.c.host, _CAUSE)
    )
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.host, {})[row.cause] = row.lost
    return found


def by_container(connection: Connection, host: str) -> tuple[list[ContainerLoss], int]:
    """Of one host: the SHOWN containers that lost most, and what all others lost together."""
    query = (
        select(_OF.label("container"), containers.c.name, _LOST.label("lost"))
        .select_from(
            events.join(
                containers,
                (containers.c.host == events.c.host) & (containers.c.id == _OF),
                isouter=True,
            )
        )
        .where(*_IS_LOSS, events.c.host == host, _OF.is_not(None))
        .group_by(_OF, containers.c.name)
        .order_by(_LOST.desc(), _OF)
    )
    rows = connection.execute(query).all()
    shown: list[ContainerLoss] = [
        {"container": row.container, "name": row.name, "count": row.lost} for row in rows[:SHOWN]
    ]
    return shown, sum(row.lost for row in rows[SHOWN:])


def of_container(connection: Connection, host: str, container: str) -> dict[str, int]:
    """Of one container, by cause."""
    query = (
        select(_CAUSE.label("cause"), _LOST.label("lost"))
        .where(*_IS_LOSS, events.c.host == host, container == _OF)
        .group_by(_CAUSE)
    )
    return {row.cause: row.lost for row in connection.execute(query)}
