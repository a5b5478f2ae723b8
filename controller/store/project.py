# SPDX-License-Identifier: Apache-2.0
"""From events to what people ask for: sessions, entries, containers, records.

Wherever the result could depend on the order of arrival, a row is computed from the `events` table, not from
the event at hand and the row that was there before. So every event may be projected again, and in any order. A
batch is projected with few statements, each for all of its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from controller.store import activities, configurations, host_files, records, session_rows
from controller.store.completion import completed_all, sequence
from controller.store.container_rows import ContainerRows, text
from controller.store.dialect import put_all
from controller.store.schema import entries, events
from controller.store.session_rows import OPENING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from sensor import wire

_TARGETS: Final = select(events.c.host, events.c.body).where(
    events.c.id.in_(bindparam("ids", expanding=True)), events.c.kind != "update"
)
CHUNK: Final = 500
_COMPLETED: Final = frozenset({*OPENING, "start", "contact", "connection"})
"""Kinds of which more may be learned later."""
_INSIDE: Final = frozenset({"command", "exit", "contact", "connection"})
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

Told = tuple[str, "Mapping[str, Any]"]
"""The host's id, and the event."""


def apply(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Projects one event: as `apply_all`."""
    apply_all(connection, [(host, event)])


def apply_all(connection: Connection, told: Iterable[Told]) -> None:
    """Projects events of the `events` table, which must already hold them.

    May be called again for the same events, and for events in any order: what a row becomes depends on the
    events in the table alone, not on how often or when they were projected.
    """
    batch = [*told]
    batch += _targets(connection, batch)
    whole = [event for _, event in batch if event["kind"] in _COMPLETED]
    known = {body["id"]: (body, latest) for body, latest in completed_all(connection, whole)}
    _see_containers(connection, batch, known)
    rows = {
        event["id"]: _entry(host, known[event["id"]][0]) for host, event in batch if event["kind"] in OPENING
    }
    put_all(connection, entries, list(rows.values()))
    session_rows.write(connection, _spans(batch, frozenset({*OPENING, "session_end"})))
    session_rows.inside(connection, _spans(batch, _INSIDE))
    records.take_all(connection, [each for each in batch if each[1]["kind"] == "record"])
    for host, event in batch:
        if event["kind"] == "activity":
            activities.take(connection, host, event)
        elif event["kind"] == "configuration":
            configurations.take(connection, host, event)
        elif event["kind"] == "file":
            host_files.take(connection, host, event)


def _targets(connection: Connection, batch: list[Told]) -> list[Told]:
    """What the updates of a batch complete. A target that has not arrived will find its update when it does."""
    wanted = {(host, event["target"]) for host, event in batch if event["kind"] == "update"}
    ids = sorted({target for _, target in wanted})
    found: list[Told] = []
    for first in range(0, len(ids), CHUNK):
        rows = connection.execute(_TARGETS, {"ids": ids[first : first + CHUNK]})
        found += [(row.host, row.body) for row in rows if (row.host, row.body["id"]) in wanted]
    return found


def _spans(batch: list[Told], kinds: frozenset[str]) -> dict[str, tuple[str, int]]:
    """The sessions that events of these kinds are of: the host, and the earliest time."""
    found: dict[str, tuple[str, int]] = {}
    for host, event in batch:
        session = event.get("session")
        if event["kind"] in kinds and session is not None:
            _, earlier = found.get(session, (host, event["time"]))
            found[session] = (host, min(earlier, event["time"]))
    return found


def _entry(host: str, body: Mapping[str, Any]) -> dict[str, Any]:
    container = body["container"]
    return {
        "id": body["id"],
        "session": body["session"],
        "host": host,
        "kind": body["kind"],
        "time": body["time"],
        "means": body["means"],
        "verdict": body.get("verdict"),
        "container": container["id"],
        "container_name": text(container["name"]),
        "image": text(container["image"]),
        "uid": body["process"]["uid"] if body.get("process") else None,
        "body": body,
    }


def _see_containers(
    connection: Connection, batch: list[Told], known: Mapping[str, tuple[dict[str, Any], int]]
) -> None:
    """What the events say of containers."""
    said = []
    for host, event in batch:
        body, latest = known.get(event["id"], (event, sequence(event["id"])))
        if event["kind"] == "activity":
            # Of a container that was not seen to start nothing else may be known, ever.
            said.append((host, {**_UNKNOWN, "id": event["container_id"]}, latest, event))
        elif event["kind"] in _TELLING and body["container"] is not None:
            said.append((host, body["container"], latest, event))
    rows = ContainerRows(connection)
    rows.load((host, container["id"]) for host, container, _, _ in said if container["id"] is not None)
    for host, container, latest, event in said:
        moment = _MOMENTS.get(event["kind"])
        change = None if moment is None else (moment, sequence(event["id"]))
        rows.see(host, container, latest, event["time"], change)
    rows.write()


_TELLING: Final = _COMPLETED | {"stop", "configuration"}
_MOMENTS: Final = {"start": "started", "stop": "stopped"}
