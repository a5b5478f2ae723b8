# SPDX-License-Identifier: Apache-2.0
"""What containers do of themselves: told once and counted since by the sensors, kept here by container.

One row for each kind (`key`) of a container. A kind is counted in runs: the sensor counts from 1 anew when it
was started again or had forgotten the kind, and then tells another `first`. Of each run the greatest count
stands, so that an event may be projected twice and late; the kind's count is their sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, delete, func, select, update

from controller.store import query
from controller.store.completion import sequence
from controller.store.dialect import put
from controller.store.fleet_views import ActivityView
from controller.store.schema import activities, containers
from controller.store.views import rfc3339
from controller.validity import MAX_INT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

MAX_KINDS: Final = 1000
"""Kinds kept of one container. For one more, the kind that was seen longest ago is left out, and counted."""
MAX_RUNS: Final = 32
"""Runs of one kind that are kept apart; what is told late of older ones than these is not added any more."""

_TOLD: Final = (
    "uid",
    "comm",
    "exe",
    "filename",
    "argv",
    "argv_cut",
    "argv_redacted",
    "address",
    "port",
    "protocol",
)
_LATER: Final = ("parent_exe", "digest")
"""What older sensors do not tell, nor what was stored of them."""
_a, _c = activities, containers


def take(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Adds what one `activity` event tells; its container has a row already."""
    mine = and_(_a.c.host == host, _a.c.container == event["container_id"], _a.c.key == event["key"])
    row = connection.execute(select(_a).where(mine)).mappings().one_or_none()
    if row is None:
        _make_room(connection, host, event["container_id"])
    put(connection, _a, {"host": host, **_merged(row, event)})


def _merged(row: RowMapping | None, event: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = (
        row["body"] if row else {"at": -1, "told": {}, "runs": [], "before": 0, "before_until": -1}
    )
    if event["first"] > body["before_until"]:
        runs = dict(body["runs"])
        runs[event["first"]] = max(event["count"], runs.get(event["first"], 0))
        kept = sorted(runs.items())
        for first, count in kept[:-MAX_RUNS]:
            body["before"], body["before_until"] = body["before"] + count, first
        body["runs"] = kept[-MAX_RUNS:]
    at = sequence(event["id"])
    if at > body["at"]:
        body["at"], body["told"] = (
            at,
            {
                **{name: event[name] for name in _TOLD},
                **{name: event.get(name) for name in _LATER},
            },
        )
    return {
        "container": event["container_id"],
        "key": event["key"],
        "what": event["what"],
        "first": min(row["first"], event["first"]) if row else event["first"],
        "last": max(row["last"], event["time"]) if row else event["time"],
        "count": min(body["before"] + sum(count for _, count in body["runs"]), MAX_INT),
        "body": body,
    }


def _make_room(connection: Connection, host: str, container: str) -> None:
    """For one more kind of this container."""
    of_it = and_(_a.c.host == host, _a.c.container == container)
    kept = connection.execute(select(func.count()).select_from(_a).where(of_it)).scalar_one()
    if kept < MAX_KINDS:
        return
    oldest = select(_a.c.key).where(of_it).order_by(_a.c.last, _a.c.key).limit(kept - MAX_KINDS + 1)
    gone = connection.execute(delete(_a).where(of_it, _a.c.key.in_(oldest.scalar_subquery()))).rowcount
    connection.execute(
        update(_c)
        .where(_c.c.host == host, _c.c.id == container)
        .values(activities_left_out=_c.c.activities_left_out + gone)
    )


def list_(
    connection: Connection,
    host: str,
    container: str,
    what: str | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[ActivityView]:
    """Of one container, by the ids of both, what is new of it first: by the time when it was first seen.

    `what` is "exec" or "connect"; `before` is the (first_ns, key) of the last one of the page before.
    """
    statement = select(_a).where(_a.c.host == host, _a.c.container == container)
    if what is not None:
        statement = statement.where(_a.c.what == what)
    page = query.newest_first(statement, _a.c.first, _a.c.key, limit, before)
    return [_view(row) for row in connection.execute(page).mappings()]


def _view(row: RowMapping) -> ActivityView:
    told = row["body"]["told"]
    return {
        "key": row["key"],
        "what": row["what"],
        "first": rfc3339(row["first"]),
        "first_ns": row["first"],
        "last": rfc3339(row["last"]),
        "last_ns": row["last"],
        "count": row["count"],
        "uid": told["uid"],
        "comm": told["comm"],
        "exe": told["exe"],
        "filename": told["filename"],
        "argv": told["argv"],
        "argv_cut": told["argv_cut"],
        "argv_redacted": told["argv_redacted"],
        "address": told["address"],
        "port": told["port"],
        "protocol": told["protocol"],
        "parent_exe": told.get("parent_exe"),
        "digest": told.get("digest"),
    }
