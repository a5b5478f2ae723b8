# SPDX-License-Identifier: Apache-2.0
"""How rules fare: what each was last in trouble with, a failure or slowness, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sqlalchemy import select

from controller.store import counters
from controller.store.dialect import put
from controller.store.policy_schema import troubles
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from controller.detect.engine import Trouble


class TroubleView(TypedDict):
    """A detection whose rule failed, was slow, or was left out of visits for that."""

    detection: str
    errors: int
    slow: int
    skipped: int
    at: str
    """When it was in trouble last."""
    at_ns: int
    event: str
    text: str


def keep(connection: Connection, found: Mapping[str, Trouble], now: int) -> None:
    """Keeps the latest of each detection."""
    for detection, each in found.items():
        row = {"detection": detection, "at": now, "event": each.event, "what": each.what, "text": each.text}
        put(connection, troubles, row)


def list_(connection: Connection) -> list[TroubleView]:
    """Those that were ever in trouble, the latest first."""
    counts = counters.all_(connection, "detect.")
    rows = connection.execute(select(troubles).order_by(troubles.c.at.desc())).mappings()
    return [
        {
            "detection": row["detection"],
            "errors": counts.get(f"detect.{row['detection']}.errors", 0),
            "slow": counts.get(f"detect.{row['detection']}.slow", 0),
            "skipped": counts.get(f"detect.{row['detection']}.skipped", 0),
            "at": rfc3339(row["at"]),
            "at_ns": row["at"],
            "event": row["event"],
            "text": row["text"],
        }
        for row in rows
    ]
