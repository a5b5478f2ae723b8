# SPDX-License-Identifier: Apache-2.0
"""The rows of sessions, as the events that are stored of them have it: from their first entry and their last end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, select, update

from controller.store.completion import completed_all
from controller.store.dialect import put_all, put_new_all
from controller.store.schema import events, sessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

CHUNK: Final = 500
OPENING: Final = ("entry", "escape", "attempt")
"""The kinds that open a session, the one that tells most of it first."""

_e, _s = events, sessions
_OF_THEM: Final = _e.c.session.in_(bindparam("sessions", expanding=True))
_FIRST: Final = (
    select(
        _e.c.seq,
        func.row_number()
        .over(partition_by=(_e.c.session, _e.c.kind), order_by=(_e.c.mono, _e.c.id))
        .label("nth"),
    )
    .where(_OF_THEM, _e.c.kind.in_(OPENING))
    .subquery()
)
_LAST: Final = (
    select(
        _e.c.seq,
        func.row_number()
        .over(partition_by=_e.c.session, order_by=(_e.c.mono.desc(), _e.c.id.desc()))
        .label("nth"),
    )
    .where(_OF_THEM, _e.c.kind == "session_end")
    .subquery()
)
_FIRSTS: Final = select(_e.c.body).join(_FIRST, _FIRST.c.seq == _e.c.seq).where(_FIRST.c.nth == 1)
_ENDS: Final = select(_e.c.body).join(_LAST, _LAST.c.seq == _e.c.seq).where(_LAST.c.nth == 1)
_BEGAN: Final = select(_s.c.id, _s.c.began).where(
    _s.c.id.in_(bindparam("sessions", expanding=True)), _s.c.entry.is_(None)
)
_EARLIER: Final = (
    update(_s)
    .where(_s.c.id == bindparam("session"), _s.c.entry.is_(None), _s.c.began > bindparam("time"))
    .values(began=bindparam("time"))
)


def write(connection: Connection, seen: Mapping[str, tuple[str, int]]) -> None:
    """The whole rows of sessions that began or ended: by session its host, and the earliest time that was told."""
    ids = sorted(seen)
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        asked = {"sessions": part}
        first = _first(connection, asked)
        ends = {body["session"]: body for body in connection.execute(_ENDS, asked).scalars()}
        lost = [each for each in part if each not in first]
        known = {row.id: row.began for row in connection.execute(_BEGAN, {"sessions": lost})} if lost else {}
        rows = [_row(each, seen[each], first.get(each), ends.get(each), known.get(each)) for each in part]
        put_all(connection, _s, rows)


def inside(connection: Connection, seen: Mapping[str, tuple[str, int]]) -> None:
    """What was only told to be inside a session changes its row while the entry is missing."""
    put_new_all(
        connection, _s, [{"id": each, "host": host, "began": time} for each, (host, time) in seen.items()]
    )
    if seen:
        connection.execute(_EARLIER, [{"session": each, "time": time} for each, (_, time) in seen.items()])


def _first(connection: Connection, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The events that opened sessions, with what was learned of them."""
    bodies = list(connection.execute(_FIRSTS, asked).scalars())
    found: dict[str, dict[str, Any]] = {}
    for body, _ in completed_all(connection, bodies):
        other = found.get(body["session"])
        if other is None or OPENING.index(body["kind"]) < OPENING.index(other["kind"]):
            found[body["session"]] = body
    return found


def _row(
    session: str,
    seen: tuple[str, int],
    first: Mapping[str, Any] | None,
    end: Mapping[str, Any] | None,
    known: int | None,
) -> dict[str, Any]:
    host, time = seen
    return {
        "id": session,
        "host": host,
        "entry": first["id"] if first else None,
        "means": first["means"] if first else None,
        "container": first["container"]["id"] if first else None,
        "began": first["time"] if first else min(time, known if known is not None else time),
        "ended": end["time"] if end else None,
        "code": end["code"] if end else None,
        "signal": end["signal"] if end else None,
        "duration": end["duration"] if end else None,
    }
