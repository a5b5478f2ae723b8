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


def _gap(note: Mapping[str, Any]) -> str:
    since = note.get("since")
    when = f"from {rfc3339(since)} at the latest" if since is not None else "for a while"
    if note.get("recorded"):
        return f"did not run {when} until then; its programs recorded on, and what happened is told"
    return f"did not run {when} until then, and nobody watched"


def _signal(note: Mapping[str, Any]) -> str:
    who = note.get("sent_by")
    if who is None:
        return "was sent a signal by the kernel on its own account"
    called = " ".join(who["argv"]) if who["argv"] else who["exe"] or who["comm"]
    where = "" if who["side"] == "host" else f" on the side of the {who['side']}"
    above = next(iter(note.get("ancestry") or ()), None)
    below = f", below {above['comm']} (pid {above['pid']})" if above else ""
    login = note.get("login")
    by_login = f", login {login['user'] or login['uid']}" if login else ""
    return f"was sent a signal by pid {who['pid']} ({called}, uid {who['uid']}{by_login}){where}{below}"


_SENTENCES: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "started": _started,
    "stopped": lambda _: "stopped as it was told to",
    "hooks": lambda _: "watches by other hooks than before",
    "gap": _gap,
    "signal": _signal,
    "blind": lambda _: "found that a part of its own does not work",
    "mended": lambda _: "mended what did not work",
}
