# SPDX-License-Identifier: Apache-2.0
"""Clusters: API servers of Kubernetes that send their audit. Each is a row of `hosts` of its own kind.

What it sends is of nobody else, so it has an id and a credential as a host has; but no sensor and no containers.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, TypedDict

from sqlalchemy import func, insert, select, update

from controller import tokens
from controller.store import audit_sources, counters
from controller.store.audit_sources import AuditSourceView
from controller.store.records_schema import records
from controller.store.schema import hosts
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from sqlalchemy import Connection

KIND: Final = "cluster"
COUNTED: Final = ("stored", "repeated", "passed_by", "unreadable")
"""What became of the events that came: see `count`."""


class ClusterView(TypedDict):
    """An API server that was enrolled, or a host whose sensor reads the log of one."""

    id: str
    name: str
    way: str
    """"webhook", or "log"."""
    enrolled: str
    enrolled_ns: int
    revoked: str | None
    revoked_ns: int | None
    sources: list[AuditSourceView]
    nodes: list[str]
    """Names of the hosts that are known to run its pods."""
    records: int
    events: dict[str, int]
    """Of a webhook: stored, repeated, passed_by (about nothing that leads into containers), unreadable."""
    refused: dict[str, int]
    """Batches that were refused, by cause."""


def enrol(connection: Connection, name: str, now: int) -> tuple[str, str] | None:
    """A new cluster's id and the credential of its API server; None where one of this name is enrolled."""
    same = (hosts.c.kind == KIND) & (hosts.c.name == name) & hosts.c.revoked.is_(None)
    if connection.execute(select(hosts.c.id).where(same)).first() is not None:
        return None
    made, credential = f"k{secrets.token_hex(8)}", tokens.new("kubernetes")
    nothing = dict.fromkeys(("kernel", "os", "arch", "sensor"), "")
    row = {"id": made, "name": name, "credential": tokens.digest(credential), "enrolled": now, "kind": KIND}
    connection.execute(insert(hosts).values({**nothing, **row}))
    return made, credential


def revoke(connection: Connection, cluster: str, now: int) -> bool:
    """Ends the credential of the cluster of this name or id; False if there is none that is good."""
    same = (hosts.c.kind == KIND) & ((hosts.c.name == cluster) | (hosts.c.id == cluster))
    ended = connection.execute(update(hosts).where(same, hosts.c.revoked.is_(None)).values(revoked=now))
    return ended.rowcount > 0


def count(cluster: str, what: str) -> str:
    """The name of the counter for what became of the events of a cluster."""
    return f"audit.{what}/{cluster}"


def list_(connection: Connection) -> list[ClusterView]:
    """All clusters by name, revoked ones included, and hosts whose sensors read an audit log."""
    told = audit_sources.all_(connection)
    wanted = (hosts.c.kind == KIND) | hosts.c.id.in_(list(told))
    rows = connection.execute(select(hosts).where(wanted).order_by(hosts.c.name, hosts.c.enrolled)).mappings()
    counted, refused = counters.all_(connection, "audit."), counters.all_(connection, "refused.")
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "way": "webhook" if row["kind"] == KIND else "log",
            "enrolled": rfc3339(row["enrolled"]),
            "enrolled_ns": row["enrolled"],
            "revoked": rfc3339(row["revoked"]),
            "revoked_ns": row["revoked"],
            "sources": told.get(row["id"], []),
            "nodes": _nodes(connection, row["id"]),
            "records": connection.execute(
                select(func.count()).where(records.c.host == row["id"], records.c.source == "kubernetes")
            ).scalar_one(),
            "events": {what: counted.get(count(row["id"], what), 0) for what in COUNTED},
            "refused": {
                name.removeprefix("refused.").partition("/")[0]: number
                for name, number in refused.items()
                if name.endswith(f"/{row['id']}")
            },
        }
        for row in rows.all()
    ]


def _nodes(connection: Connection, cluster: str) -> list[str]:
    return list(connection.execute(select(hosts.c.name).where(hosts.c.cluster == cluster)).scalars())
