# SPDX-License-Identifier: Apache-2.0
"""What came of a run that should be quiet: the visits to its containers, whether all were judged, what was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from controller.store import cursors
from controller.store.records_schema import attributions
from controller.store.schema import alerts, events
from controller.store.sessions import SessionFilter, list_

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from controller.store.views import SessionRow

DETECT: Final = "detect"
"""The cursor of whoever judges."""
MANY: Final = 1000


def visits(connection: Connection, name: str, ids: Collection[str], since: int) -> list[SessionRow]:
    """The visits since a time (ns) to these containers, and to those whose name begins with `name`."""
    latest = list_(connection, SessionFilter(since=since), limit=MANY)
    return [
        each
        for each in latest
        if each["container"]["id"] in ids or (each["container"]["name"] or "").startswith(name)
    ]


def judged(connection: Connection, sessions: Collection[str]) -> bool:
    """Whether all that has come was judged, and no visit of these waits for its record."""
    last = connection.execute(select(func.max(events.c.seq))).scalar_one() or 0
    waits = (attributions.c.session.in_(sessions)) & (attributions.c.status == "awaited")
    waiting = connection.execute(select(func.count()).select_from(attributions).where(waits)).scalar_one()
    return not waiting and cursors.position(connection, DETECT) >= last


def alerted(connection: Connection, run: str) -> list[str]:
    """The ids of all alerts of a run, open or closed."""
    return list(connection.execute(select(alerts.c.id).where(alerts.c.emulation == run)).scalars())
