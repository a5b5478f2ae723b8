# SPDX-License-Identifier: Apache-2.0
"""Updates merged into the events that they complete.

An event never changes in the `events` table: what it has become is computed from it and its updates, in the
order of their sequence, so that it does not matter when either of them arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, select

from controller import validity
from controller.store.schema import events
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

IDENTITY: Final = frozenset({"id", "kind", "time", "mono", "session", "target", "set", "missing"})
"""First parts of paths that no update may set: what an event is, rather than what was learned of it."""

_CHUNK: Final = 500
_UPDATES: Final = select(events.c.target, events.c.body).where(
    events.c.target.in_(bindparam("ids", expanding=True))
)
_BODY: Final = select(events.c.body).where(events.c.id == bindparam("id"))


def sequence(event_id: str) -> int:
    """The number at the end of an event's id: it grows with each event of a host, over restarts too."""
    return int(event_id.rpartition("/")[2])


def merge(event: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any] | None:
    """`event` with `update` merged in; None when the result would not be an event of its kind.

    An update comes from the same host as its event, and neither may be believed to be well made: what all
    readers rely on is the type of the result.
    """
    merged: dict[str, Any] = {**event, "missing": update["missing"]}
    for path, value in update["set"].items():
        *parents, last = path.split(".")
        if (parents or [last])[0] in IDENTITY:
            return None
        place = merged
        for name in parents:
            inner = place.get(name)
            if not isinstance(inner, dict):
                return None
            place[name] = dict(inner)
            place = place[name]
        place[last] = value
    try:
        made: dict[str, Any] = msgspec.convert(merged, wire.EVENT_TYPES[event["kind"]])
        validity.check_event(made)
    except (msgspec.ValidationError, validity.InvalidError):
        return None
    return made


def complete(event: Mapping[str, Any], updates: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], int]:
    """The event with all `updates` merged in, and the latest sequence that went into it."""
    made, latest = dict(event), sequence(event["id"])
    for update in sorted(updates, key=lambda update: sequence(update["id"])):
        merged = merge(made, update)
        if merged is not None:
            made, latest = merged, max(latest, sequence(update["id"]))
    return made, latest


def completed(connection: Connection, event_id: str) -> dict[str, Any] | None:
    """The event `event_id` with every update that arrived for it merged in; None if it is not stored."""
    body = connection.execute(_BODY, {"id": event_id}).scalar_one_or_none()
    if body is None:
        return None
    return completed_all(connection, [body])[0][0]


def completed_all(
    connection: Connection, bodies: Sequence[Mapping[str, Any]]
) -> list[tuple[dict[str, Any], int]]:
    """As `complete`, for many events with few queries; in the order of `bodies`."""
    updates: dict[str, list[Mapping[str, Any]]] = {}
    ids = [body["id"] for body in bodies]
    for start in range(0, len(ids), _CHUNK):
        rows = connection.execute(_UPDATES, {"ids": ids[start : start + _CHUNK]})
        for target, body in rows:
            updates.setdefault(target, []).append(body)
    return [complete(body, updates.get(body["id"], ())) for body in bodies]
