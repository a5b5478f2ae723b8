# SPDX-License-Identifier: Apache-2.0
"""Records: what runtimes said happened, each saying once however often it was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import and_, select

from controller.store import query
from controller.store.dialect import put_new_all
from controller.store.records_schema import records
from controller.store.schema import containers, events, hosts
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from sensor import wire

_r = records
_SAID: Final = ("authorised", "by", "reason")
MAX_POD: Final = 520
"""Characters of the name of a pod with its namespace; Kubernetes' own bounds are 253 and 63."""


class RecordView(TypedDict):
    """What a runtime said once."""

    id: str
    """Of the event that told it first."""
    time: str
    """By the runtime's clock."""
    time_ns: int
    read: str
    """When the sensor read it, by the host's clock."""
    read_ns: int
    host: str
    host_id: str
    source: str
    place: str
    action: str
    owner: int
    """The uid that the daemon runs as."""
    container: str | None
    container_name: str | None
    exec_id: str | None
    pid: int | None
    command: str | None
    code: int | None
    detail: dict[str, str]
    request: wire.Request | None
    """Of a Kubernetes API server's audit: what it was asked, and by whom."""
    change: dict[str, Any] | None
    """Of a role or binding: `before` and `after`, `authorised`, and `reason`; None of all else."""


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """What to list; every field that is set must hold. Times are ns."""

    host: str | None = None
    """Name or id."""
    container: str | None = None
    """Name, id, or the beginning of an id (12 characters or more)."""
    source: str | None = None
    action: str | None = None
    exec_id: str | None = None
    pod: str | None = None
    """Name, or "namespace/name"."""
    user: str | None = None
    """Of an API server's audit: who asked."""
    since: int | None = None
    until: int | None = None


def take_all(connection: Connection, told: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Keeps what `record` events tell, each with its host's id; what was told before stays as it was."""
    put_new_all(connection, _r, [_row(host, event) for host, event in told])


def _row(host: str, event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "host": host,
        "key": event["key"],
        "id": event["id"],
        "source": event["source"],
        "action": event["action"],
        "time": event["time"],
        "container": event["container_id"],
        "exec_id": event["exec_id"],
        "pid": event["pid"],
        "pod": pod(event),
        "request": event["request"]["id"] if "request" in event else None,
        "user": event["request"]["user"] if "request" in event else None,
        "place": event["place"],
        "body": dict(event),
    }


def pod(event: Mapping[str, Any]) -> str | None:
    """The pod that a request to an API server is about, "namespace/name"; None where it is about none."""
    request = event.get("request")
    if request is None or not request["pod"]:
        return None
    return f"{request['namespace'] or ''}/{request['pod']}"[:MAX_POD]


_ROWS = (
    select(_r, hosts.c.name.label("host_name"), containers.c.name.label("container_name"))
    .join(hosts, hosts.c.id == _r.c.host)
    .join(
        containers,
        and_(containers.c.host == _r.c.host, containers.c.id == _r.c.container),
        isouter=True,
    )
)


def list_(
    connection: Connection,
    filters: RecordFilter | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[RecordView]:
    """Newest first. `before` is the (time_ns, id) of the last one of the page before."""
    statement = _ROWS.where(*_conditions(filters or RecordFilter()))
    page = query.newest_first(statement, _r.c.time, _r.c.id, limit, before)
    return [_view(row) for row in connection.execute(page).mappings()]


def of_exec(connection: Connection, host: str, container: str, exec_id: str) -> list[RecordView]:
    """All that was said of one exec of a container, by their ids; in the order of time."""
    same = and_(_r.c.host == host, _r.c.container == container, _r.c.exec_id == exec_id)
    rows = connection.execute(_ROWS.where(same).order_by(_r.c.time, _r.c.id)).mappings()
    return [_view(row) for row in rows]


def event(connection: Connection, host: str, event_id: str) -> dict[str, Any] | None:
    """What the sensor sent of a record, by the id of its event; None where it is not kept any more."""
    query = select(events.c.body).where(events.c.id == event_id, events.c.host == host)
    body: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
    return body


OWN_ATTACH_NS: Final = 1_000_000_000
"""An attach so soon after the start is that of who started it."""


def ran_before(connection: Connection, host: str, said: Mapping[str, Any]) -> bool:
    """Whether the container of a record ran already: `docker run` attaches first, and starts it then.

    `podman run` starts it, and attaches a millisecond later.
    """
    before = and_(
        _r.c.host == host,
        _r.c.container == said["container_id"],
        _r.c.time < said["time"],
        _r.c.action.in_(("create", "start", "die", "destroy")),
    )
    query = select(_r.c.action, _r.c.time).where(before).order_by(_r.c.time.desc(), _r.c.id.desc()).limit(1)
    last = connection.execute(query).one_or_none()
    if last is None:
        return True  # of one that started before its source was listened to nothing was told
    own = (
        said["source"] == "podman" and said["action"] == "attach" and said["time"] - last.time < OWN_ATTACH_NS
    )
    return bool(last.action == "start" and not own)


def _conditions(wanted: RecordFilter) -> list[ColumnElement[bool]]:
    made = query.between(_r.c.time, wanted.since, wanted.until)
    for name in ("source", "action", "exec_id", "user"):
        value = getattr(wanted, name)
        if value is not None:
            made.append(_r.c[name] == value)
    if wanted.pod is not None:
        whole = "/" in wanted.pod
        made.append(_r.c.pod == wanted.pod if whole else _r.c.pod.endswith(f"/{wanted.pod}", autoescape=True))
    if wanted.host is not None:
        made.append(query.on_host(_r.c.host, wanted.host))
    if wanted.container is not None:
        made.append(query.is_container(_r.c.container, containers.c.name, wanted.container))
    return made


def _view(row: RowMapping) -> RecordView:
    body = row["body"]
    return {
        "id": row["id"],
        "time": rfc3339(row["time"]),
        "time_ns": row["time"],
        "read": rfc3339(body["read"]),
        "read_ns": body["read"],
        "host": row["host_name"],
        "host_id": row["host"],
        "source": row["source"],
        "place": body["place"],
        "action": row["action"],
        "owner": body["owner"],
        "container": row["container"],
        "container_name": row["container_name"],
        "exec_id": row["exec_id"],
        "pid": row["pid"],
        "command": body["command"],
        "code": body["code"],
        "detail": body["detail"],
        "request": body.get("request"),
        "change": row["change"] and {name: row["change"][name] for name in ("before", "after", *_SAID)},
    }
