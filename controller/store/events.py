# SPDX-License-Identifier: Apache-2.0
"""The events as they arrived, in the order of their arrival: what the bus hands out and an export writes."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from controller.store.schema import events as table


class Arrived(NamedTuple):
    """One event: the number it arrived as, its host's id, and what the sensor sent."""

    seq: int
    host: str
    body: dict[str, Any]


def after(connection: Connection, seq: int, limit: int) -> list[Arrived]:
    """Up to `limit` events after the number `seq`, in order."""
    query = (
        select(table.c.seq, table.c.host, table.c.body)
        .where(table.c.seq > seq)
        .order_by(table.c.seq)
        .limit(limit)
    )
    return [Arrived(row.seq, row.host, row.body) for row in connection.execute(query)]
