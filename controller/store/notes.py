# SPDX-License-Identifier: Apache-2.0
"""What a sensor noted of its own life: when it watched, by which hooks, and when it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, text

from controller.store.fleet_views import NoteView
from controller.store.schema import RARE, events
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

SHOWN: Final = 50
"""The latest notes of a host that are shown; all of them are in the export."""


def latest(connection: Connection, host: str, limit: int = SHOWN) -> list[NoteView]:
    """The latest first, as they arrived."""
    query = (
        select(events.c.body)
        .where(text(RARE), events.c.kind == "agent", events.c.host == host)
        .order_by(events.c.seq.desc())
        .limit(limit)
    )
    return [_view(row.body) for row in connection.execute(query)]


def sentence(note: Mapping[str, Any]) -> str:
    """The note in words. One of a kind that this controller does not know is told as that."""
    words = _SENTENCES.get(note["action"])
    because = f": {note['reason']}" if note["reason"] else ""
    if words is None:
        return f"noted {note['action']!r}, which this controller does not know{because}"
    return words(note) + because


def _view(note: Mapping[str, Any]) -> NoteView:
    return {
        "id": note["id"],
        "time": rfc3339(note["time"]),
        "time_ns": note["time"],
        "action": note["action"],
        "known": note["action"] in _SENTENCES,
        "version": note["version"],
        "loader": note["loader"],
        "hooks": note["hooks"],
        "reason": note["reason"],
        "sentence": sentence(note),
    }


def _started(note: Mapping[str, Any]) -> str:
    by = f" by the loader {note['loader']}" if note["loader"] else ""
    return f"began to watch{by}, version {note['version']}"


_SENTENCES: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "started": _started,
    "stopped": lambda _: "stopped as it was told to; from here until it begins again nobody watches",
    "hooks": lambda _: "watches by other hooks than before",
}
