# SPDX-License-Identifier: Apache-2.0
"""What was changed in the runtimes' own configuration on their hosts: one row for each time that a sensor told it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import delete, or_, select, update

from controller.store.dialect import put
from controller.store.schema import hosts
from controller.store.schema_configurations import file_changes
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

    from sensor import wire

MAX_KEPT: Final = 2000
"""Changes kept of one host; the oldest give way. Their events stay as long as all events do."""

_t = file_changes


class JudgedFile(TypedDict):
    """What is said of a change, as it was known when it came."""

    principal: wire.Principal
    who: str
    """The principal as a sentence names it."""
    authorised: bool
    by: str | None
    """"approval" or "principal"."""
    reason: str
    """By what it was authorised, or why not."""


class FileChangeView(TypedDict):
    """One change of a file, or of a daemon's command line."""

    id: str
    time: str
    time_ns: int
    host: str
    host_id: str
    runtime: str
    path: str
    what: str
    """"appeared", "removed", "changed"."""
    before: wire.FileState | None
    after: wire.FileState | None
    difference: list[str]
    difference_cut: bool
    unwatched: bool
    principal: wire.Principal | None
    authorised: bool | None
    authorised_by: str | None
    authority: str | None


def take(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Keeps what one `file` event tells. May be called again for the same event."""
    row = {"id": event["id"], "host": host, "path": event["path"], "time": event["time"], "body": dict(event)}
    put(connection, _t, row)
    oldest = select(_t.c.id).where(_t.c.host == host).order_by(_t.c.time.desc(), _t.c.id).offset(MAX_KEPT)
    surplus = list(connection.execute(oldest.limit(100)).scalars())
    if surplus:
        connection.execute(delete(_t).where(_t.c.id.in_(surplus)))


def verdict(connection: Connection, event_id: str) -> JudgedFile | None:
    """What was said of it before."""
    query = select(_t.c.change).where(_t.c.id == event_id)
    found: JudgedFile | None = connection.execute(query).scalar_one_or_none()
    return found


def judged(connection: Connection, event_id: str, change: JudgedFile) -> None:
    """Keeps what is said of a change."""
    connection.execute(update(_t).where(_t.c.id == event_id).values(change=change))


def list_(connection: Connection, host: str | None, limit: int) -> list[FileChangeView]:
    """The changes of the fleet, or of one host by name or id, the latest first."""
    query = (
        select(_t, hosts.c.name.label("host_name"))
        .join(hosts, hosts.c.id == _t.c.host)
        .order_by(_t.c.time.desc(), _t.c.id)
        .limit(limit)
    )
    if host is not None:
        query = query.where(or_(hosts.c.id == host, hosts.c.name == host))
    return [_view(row) for row in connection.execute(query).mappings()]


def what(event: Mapping[str, Any]) -> str:
    """What became of the file."""
    return "appeared" if event["before"] is None else "removed" if event["after"] is None else "changed"


def _view(row: RowMapping) -> FileChangeView:
    body, change = row["body"], row["change"]
    return FileChangeView(
        id=row["id"],
        time=rfc3339(row["time"]),
        time_ns=row["time"],
        host=row["host_name"],
        host_id=row["host"],
        runtime=body["runtime"],
        path=row["path"],
        what=what(body),
        before=body["before"],
        after=body["after"],
        difference=body["difference"],
        difference_cut=body["difference_cut"],
        unwatched=body["unwatched"],
        principal=change["principal"] if change else None,
        authorised=change["authorised"] if change else None,
        authorised_by=change["by"] if change else None,
        authority=change["reason"] if change else None,
    )
