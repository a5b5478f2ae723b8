# SPDX-License-Identifier: Apache-2.0
"""Roles and bindings of a cluster, by the audit: what each held before, and what is said of its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from controller.store.records_schema import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

ACTIONS: Final = ("grant", "role_write", "rbac_delete")
MAX_LOOKED: Final = 500
"""Earlier writes that are looked through for the one of the same object."""
_r = records


def before(connection: Connection, host: str, event: Mapping[str, Any]) -> str | None:
    """What the object held by the last write of it that was told; None where none was, or it was removed."""
    told = (_r.c.host == host) & _r.c.action.in_(ACTIONS) & (_r.c.time <= event["time"])
    query = select(_r.c.body).where(told).order_by(_r.c.time.desc(), _r.c.key).limit(MAX_LOOKED)
    for body in connection.execute(query).scalars():
        if body["request"]["id"] != event["request"]["id"] and _object(body) == _object(event):
            held: str | None = body["detail"].get("holds")
            return held
    return None


def judged(connection: Connection, host: str, event: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    """Keeps what is said of a change, with all that was told of the same request."""
    mine = (_r.c.host == host) & (_r.c.request == event["request"]["id"])
    connection.execute(update(_r).where(mine).values(change=dict(change)))


def _object(event: Mapping[str, Any]) -> tuple[str | None, ...]:
    request = event["request"]
    return request["resource"], request["namespace"], request["name"]
