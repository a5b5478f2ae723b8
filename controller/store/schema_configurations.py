# SPDX-License-Identifier: Apache-2.0
"""The tables of how containers, and the runtimes on their hosts, are configured; as `schema` in all else."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, String, Table, text

from controller.store.schema import metadata

configurations = Table(
    "configurations",
    metadata,
    Column("id", String(160), primary_key=True),  # of the event
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("container", String(160), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("mono", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),  # the wire event without its container
    Column("slot", String(520)),  # what stays the same from a container to the one that takes its place
    Column(
        "change", JSON(none_as_null=True)
    ),  # what differs from before, by whom, whether authorised; NULL: nothing does
    Index(None, "host", "container", "time"),
    Index(None, "slot", "time"),
    Index(
        "ix_configurations_changes",
        "time",
        sqlite_where=text("change IS NOT NULL"),
        postgresql_where=text("change IS NOT NULL"),
    ),
)

file_changes = Table(
    "file_changes",
    metadata,
    Column("id", String(160), primary_key=True),  # of the event
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),  # the wire event
    Column("change", JSON(none_as_null=True)),  # by whom, whether authorised; NULL: it was found so
    Index(None, "host", "time"),
    Index(None, "time"),
)
