# SPDX-License-Identifier: Apache-2.0
"""Whose an address was: containers by the addresses that their sensors read in the kernel.

An address of a bridge is the host's own affair: each host has its 172.17.0.2. So a container of the same host counts
first, and one of another host only where both are pods, whose network spans hosts. Of several that it may be, none is
named, unless all are of one pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import and_, delete, insert, or_, select

from controller.store.schema import container_addresses, containers, hosts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection, RowMapping

SLACK_NS = 60 * 10**9
"""A container may be told of this long after it began: its first connection comes before."""
MOST = 64
"""Containers that are looked at for one address."""

_a, _c = container_addresses, containers


class HolderView(TypedDict):
    """The container that had an address. `id` None: one of a pod's, which all have it."""

    id: str | None
    name: str | None
    host: str
    host_id: str


def take(connection: Connection, host: str, container: str, addresses: Collection[str]) -> None:
    """These are its addresses now, in the place of all that were told of it before."""
    mine = and_(_a.c.host == host, _a.c.container == container)
    connection.execute(delete(_a).where(mine))
    rows = [{"address": each, "host": host, "container": container} for each in sorted(set(addresses))]
    if rows:
        connection.execute(insert(_a), rows)


def holder(connection: Connection, address: str, seen_by: tuple[str, bool], time: int) -> HolderView | None:
    """Whose `address` was at `time` (ns), as a process on host `seen_by[0]` reaches it, in a pod if `seen_by[1]`."""
    host, in_pod = seen_by
    query = (
        select(_c.c.id, _c.c.name, _c.c.host, _c.c.body, hosts.c.name.label("host_name"))
        .join(_a, and_(_a.c.host == _c.c.host, _a.c.container == _c.c.id))
        .join(hosts, hosts.c.id == _c.c.host)
        .where(
            _a.c.address == address,
            _c.c.first_seen <= time + SLACK_NS,
            or_(_c.c.stopped.is_(None), _c.c.stopped >= time),
        )
        .order_by(_c.c.last_seen.desc(), _c.c.id)
        .limit(MOST)
    )
    rows = connection.execute(query).mappings().all()
    near = [row for row in rows if row["host"] == host]
    return _one(near or [row for row in rows if in_pod and _pod(row) is not None])


def _one(rows: list[RowMapping]) -> HolderView | None:
    if not rows:
        return None
    first, pod = rows[0], _pod(rows[0])
    if len(rows) == 1:
        return _view(first, first["id"], first["name"])
    if pod is None or any(_pod(each) != pod for each in rows):
        return None
    return _view(first, None, f"{pod['namespace']}/{pod['name']}")


def _view(row: RowMapping, container: str | None, name: str | None) -> HolderView:
    return {"id": container, "name": name, "host": row["host_name"], "host_id": row["host"]}


def _pod(row: RowMapping) -> Mapping[str, Any] | None:
    pod: Mapping[str, Any] | None = row["body"]["fields"].get("pod")
    return pod
