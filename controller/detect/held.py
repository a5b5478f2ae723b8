# SPDX-License-Identifier: Apache-2.0
"""Visits that are not judged yet, because their sensor has still to say how they began.

A health check in a container that has only just started looks like a person's `docker exec` until the sensor
has learned what the container declares: its entry is sent with the means "pending", and an update settles it.
No rule sees such a visit before. It waits HOLD_NS at most and is then judged as it stands, for the update may
never come; what is learned later is judged again as always. Cursor `CURSOR` keeps where the oldest stands, so
that a worker that begins again holds the same visits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from controller.store import completion, cursors
from controller.store.schema import events

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.detect.rule import Event

CURSOR: Final = "held"
"""The sequence number of the oldest visit that is held; 0 when there is none."""
HOLD_NS: Final = 5_000_000_000
"""By the controller's clock. A sensor asks a container's daemon four times in the first 1.3 s."""
MAX_HELD: Final = 4096
"""Visits that wait; one more is judged at once."""


def open_means(entry: Event | None) -> bool:
    """Whether the way in is still to be told."""
    return entry is not None and entry["missing"].get("means") == "pending"


class Held:
    """The visits that wait. `load` it anew when a transaction has failed."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[int, int]] = {}
        self._released: OrderedDict[str, None] = OrderedDict()
        self._kept = 0

    @classmethod
    def load(cls, connection: Connection, position: int, now: int) -> Held:
        """As it stood when the events up to `position` had been dealt with; all wait from `now` on anew."""
        made = cls()
        made._kept = oldest = cursors.position(connection, CURSOR)
        if not oldest:
            return made
        query = (
            select(events.c.seq, events.c.body)
            .where(events.c.seq >= oldest, events.c.seq <= position, events.c.kind.in_(("entry", "attempt")))
            .order_by(events.c.seq)
        )
        rows = connection.execute(query).all()
        bodies = completion.completed_all(connection, [row.body for row in rows])
        for row, (body, _) in zip(rows, bodies, strict=True):
            made.holds(body["session"], body, row.seq, now)
        return made

    def holds(self, session: str, entry: Event | None, seq: int, now: int) -> bool:
        """Whether the visit waits, `seq` being that of the event at hand; held from its first one on."""
        if not open_means(entry):
            self._due.pop(session, None)
            return False
        if session in self._due:
            return True
        if session in self._released or len(self._due) >= MAX_HELD:
            return False
        self._due[session] = (seq, now + HOLD_NS)
        return True

    def due(self, now: int) -> list[str]:
        """The visits whose time is up."""
        return [session for session, (_, end) in self._due.items() if end <= now]

    def release(self, session: str) -> None:
        """It is judged as it stands from now on."""
        self._due.pop(session, None)
        self._released[session] = None
        if len(self._released) > MAX_HELD:
            self._released.popitem(last=False)

    def keep(self, connection: Connection) -> None:
        """Writes where the oldest stands, if that is another place than before."""
        oldest = min((seq for seq, _ in self._due.values()), default=0)
        if oldest != self._kept:
            cursors.advance(connection, CURSOR, oldest)
            self._kept = oldest
