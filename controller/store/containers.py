# SPDX-License-Identifier: Apache-2.0
"""Reading containers, as the sensors have seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from controller.store import losses, query, schema
from controller.store.fleet_views import ContainerView
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping, Select


@dataclass(frozen=True, slots=True)
class ContainerFilter:
    """What to list; every field that is set must hold."""

    host: str | None = None
    name: str | None = None
    image: str | None = None
    running_only: bool = False


_c, _s, _a = schema.containers, schema.sessions, schema.activities

_LATEST = (_c.c.last_seen.desc(), _c.c.host, _c.c.id)


def _counted(page: Select[Any]) -> Select[Any]:
    """Containers with what happened in each: counted for those of the page alone, not for all to be sorted."""
    of = page.subquery()
    visits = select(func.count()).where(_s.c.host == of.c.host, _s.c.container == of.c.id)
    activities = select(func.count()).where(_a.c.host == of.c.host, _a.c.container == of.c.id)
    return (
        select(
            of,
            schema.hosts.c.name.label("host_name"),
            visits.where(query.is_visit(_s.c.means)).scalar_subquery().label("sessions"),
            visits.where(_s.c.means == query.PROBE).scalar_subquery().label("probes"),
            activities.scalar_subquery().label("activities"),
        )
        .join(schema.hosts, schema.hosts.c.id == of.c.host)
        .order_by(of.c.last_seen.desc(), of.c.host, of.c.id)
    )


def list_(
    connection: Connection, filters: ContainerFilter | None = None, limit: int = 100, offset: int = 0
) -> list[ContainerView]:
    """The latest seen first."""
    wanted = filters or ContainerFilter()
    statement = select(_c)
    if wanted.host is not None:
        statement = statement.where(query.on_host(_c.c.host, wanted.host))
    if wanted.name is not None:
        statement = statement.where(_c.c.name == wanted.name)
    if wanted.image is not None:
        statement = statement.where(_c.c.image == wanted.image)
    if wanted.running_only:
        statement = statement.where(_c.c.stopped.is_(None))
    page = statement.order_by(*_LATEST).limit(limit).offset(offset)
    return [_view(row) for row in connection.execute(_counted(page)).mappings()]


def show(connection: Connection, container: str, host: str | None = None) -> ContainerView | None:
    """One container by id, beginning of its id (12 characters or more) or name; of several the latest seen.

    None if there is none. `host` (name or id) narrows it where ids or names repeat between hosts.
    """
    statement = select(_c).where(query.is_container(_c.c.id, _c.c.name, container))
    if host is not None:
        statement = statement.where(query.on_host(_c.c.host, host))
    page = statement.order_by(*_LATEST).limit(1)
    row = connection.execute(_counted(page)).mappings().one_or_none()
    return None if row is None else _view(row, losses.of_container(connection, row["host"], row["id"]))


def _view(row: RowMapping, lost: dict[str, int] | None = None) -> ContainerView:
    fields = row["body"]["fields"]
    return {
        "host": row["host_name"],
        "host_id": row["host"],
        "id": row["id"],
        "name": fields["name"],
        "image": fields["image"],
        "runtime": row["runtime"],
        "labels": fields["labels"],
        "pod": fields["pod"],
        "user": fields["user"],
        "caps": fields["caps"],
        "privileged": fields["privileged"],
        "init_pid": fields["init_pid"],
        "first_seen": rfc3339(row["first_seen"]),
        "first_seen_ns": row["first_seen"],
        "last_seen": rfc3339(row["last_seen"]),
        "last_seen_ns": row["last_seen"],
        "started": rfc3339(row["started"]),
        "started_ns": row["started"],
        "stopped": rfc3339(row["stopped"]),
        "stopped_ns": row["stopped"],
        "sessions": row["sessions"],
        "probes": row["probes"],
        "activities": row["activities"],
        "activities_left_out": row["activities_left_out"],
        "losses": lost or {},
    }
