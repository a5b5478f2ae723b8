# SPDX-License-Identifier: Apache-2.0
"""From events to what people ask for: sessions, entries, containers.

Wherever the result could depend on the order of arrival, a row is computed from the `events` table, not from
the event at hand and the row that was there before. So every event may be projected again, and in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from controller.store import activities, configurations, records
from controller.store.completion import completed_all, sequence
from controller.store.dialect import put, put_new
from controller.store.schema import containers, entries, events, sessions
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection


_OPENING: Final = ("entry", "escape", "attempt")
"""The kinds that open a session, the one that tells most of it first."""

_OF_SESSION: Final = events.c.session == bindparam("session")
_TARGET: Final = select(events.c.body).where(
    events.c.id == bindparam("id"), events.c.host == bindparam("host")
)
_FIRST: Final = (
    select(events.c.body)
    .where(_OF_SESSION, events.c.kind == bindparam("kind"))
    .order_by(events.c.mono, events.c.id)
    .limit(1)
)
_LAST_END: Final = (
    select(events.c.body)
    .where(_OF_SESSION, events.c.kind == "session_end")
    .order_by(events.c.mono.desc(), events.c.id.desc())
    .limit(1)
)
_BEGAN: Final = select(sessions.c.began, sessions.c.entry).where(sessions.c.id == bindparam("session"))
_EARLIER: Final = (
    update(sessions)
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.entry.is_(None),
        sessions.c.began > bindparam("time"),
    )
    .values(began=bindparam("time"))
)
_CONTAINER: Final = select(containers).where(
    containers.c.host == bindparam("host"), containers.c.id == bindparam("id")
)


def apply(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Projects one event of the `events` table, which must already hold it.

    May be called again for the same event, and for events in any order: what a row becomes depends on the
    events in the table alone, not on how often or when they were projected.
    """
    projection = _PROJECTIONS.get(event["kind"])
    if projection is not None:
        projection(connection, host, event)


def _update(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    # When the target has not arrived, its own projection will find this update.
    of_it = {"id": event["target"], "host": host}
    target = connection.execute(_TARGET, of_it).scalar_one_or_none()
    if target is not None and target["kind"] != "update":
        apply(connection, host, target)


def _entry(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    body, latest = completed_all(connection, [event])[0]
    container = body["container"]
    row = {
        "id": body["id"],
        "session": body["session"],
        "host": host,
        "kind": body["kind"],
        "time": body["time"],
        "means": body["means"],
        "verdict": body.get("verdict"),
        "container": container["id"],
        "container_name": _text(container["name"]),
        "image": _text(container["image"]),
        "uid": body["process"]["uid"] if body.get("process") else None,
        "body": body,
    }
    put(connection, entries, row)
    _seen(connection, host, container, latest, body["time"])
    _session(connection, host, event)


def _session(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """The whole row of the event's session, from its first entry and its last end."""
    session = event["session"]
    first = next((found for kind in _OPENING if (found := _first(connection, session, kind))), None)
    end = _last_end(connection, session)
    began = first["time"] if first else _earliest(connection, session, event["time"])
    row = {
        "id": session,
        "host": host,
        "entry": first["id"] if first else None,
        "means": first["means"] if first else None,
        "container": first["container"]["id"] if first else None,
        "began": began,
        "ended": end["time"] if end else None,
        "code": end["code"] if end else None,
        "signal": end["signal"] if end else None,
        "duration": end["duration"] if end else None,
    }
    put(connection, sessions, row)


def _inside(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """A command or an exit changes its session's row only while the entry is missing."""
    row = {"id": event["session"], "host": host, "began": event["time"]}
    if not put_new(connection, sessions, row):
        connection.execute(_EARLIER, {"session": event["session"], "time": event["time"]})


def _earliest(connection: Connection, session: str, time: int) -> int:
    row = connection.execute(_BEGAN, {"session": session}).one_or_none()
    return time if row is None or row.entry is not None else min(row.began, time)


def _first(connection: Connection, session: str, kind: str) -> dict[str, Any] | None:
    body = connection.execute(_FIRST, {"session": session, "kind": kind}).scalar_one_or_none()
    return None if body is None else completed_all(connection, [body])[0][0]


def _last_end(connection: Connection, session: str) -> dict[str, Any] | None:
    body: dict[str, Any] | None = connection.execute(_LAST_END, {"session": session}).scalar_one_or_none()
    return body


def _start(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    body, latest = completed_all(connection, [event])[0]
    _seen(connection, host, body["container"], latest, body["time"], ("started", sequence(event["id"])))


def _stop(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    at = sequence(event["id"])
    _seen(connection, host, event["container"], at, event["time"], ("stopped", at))


def _activity(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    # Of a container that was not seen to start nothing else may be known, ever.
    _seen(connection, host, {**_UNKNOWN, "id": event["container_id"]}, sequence(event["id"]), event["time"])
    activities.take(connection, host, event)


def _configuration(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    _seen(connection, host, event["container"], sequence(event["id"]), event["time"])
    configurations.take(connection, host, event)


def _contact(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    body, latest = completed_all(connection, [event])[0]
    if body["container"] is not None:
        _seen(connection, host, body["container"], latest, body["time"])
    if event["session"] is not None:
        _inside(connection, host, event)


def _record(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    records.take(connection, host, event)


_UNKNOWN: Final[wire.Container] = {
    "id": None,
    "name": None,
    "image": None,
    "runtime": "unknown",
    "labels": {},
    "pod": None,
    "init_pid": None,
    "user": None,
    "caps": None,
    "privileged": None,
}


def _seen(
    connection: Connection,
    host: str,
    container: Mapping[str, Any],
    at: int,
    time: int,
    change: tuple[str, int] | None = None,
) -> None:
    """Adds what an event of sequence `at` says of a container: of each field the latest known value stands.

    `body` holds the fields and, in "at", the sequence that each came with: without it a late event would
    overwrite what is newer. A container that is started again has not stopped.
    """
    if container["id"] is None:
        return
    of_it = {"host": host, "id": container["id"]}
    row = connection.execute(_CONTAINER, of_it).mappings().one_or_none()
    body = row["body"] if row else {"at": {}, "fields": {}, "moments": {}}
    for name, value in container.items():
        known = value is not None and value not in ("unknown", {})
        if at >= body["at"].get(name, -1) and (known or name not in body["at"]):
            body["fields"][name] = value
            if known:
                body["at"][name] = at
    if change is not None and change[1] >= body["at"].get(change[0], -1):
        body["at"][change[0]], body["moments"][change[0]] = change[1], time
    running = body["at"].get("started", -1) > body["at"].get("stopped", -1)
    put(
        connection,
        containers,
        {
            "host": host,
            "id": container["id"],
            "name": _text(body["fields"]["name"]),
            "image": _text(body["fields"]["image"]),
            "runtime": body["fields"]["runtime"],
            "first_seen": min(row["first_seen"], time) if row else time,
            "last_seen": max(row["last_seen"], time) if row else time,
            "started": body["moments"].get("started"),
            "stopped": None if running else body["moments"].get("stopped"),
            "body": body,
        },
    )


def _text(value: str | None) -> str | None:
    """A text as a column of its own can hold it: PostgreSQL's cannot hold NUL, which JSON escapes."""
    return None if value is None else value.replace("\0", "\\x00")


_PROJECTIONS: Final[dict[str, Callable[[Connection, str, Mapping[str, Any]], None]]] = {
    "entry": _entry,
    "attempt": _entry,
    "escape": _entry,
    "command": _inside,
    "exit": _inside,
    "session_end": _session,
    "start": _start,
    "stop": _stop,
    "activity": _activity,
    "configuration": _configuration,
    "contact": _contact,
    "connection": _contact,
    "record": _record,
    "update": _update,
}
