# SPDX-License-Identifier: Apache-2.0
"""The tables of who it was, and the names that indexes and keys of all tables get. Read them by `schema`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

principals = Table(
    "principals",
    metadata,
    Column("session", String(160), primary_key=True),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text),
    Column("client", String(64)),  # "<pid>/<start>" of the tool's process that this visit used up
    Column("new_in", JSON, nullable=False),  # where the principal had not been before, in words
    Column("body", JSON, nullable=False),  # wire.Principal
    Index(None, "host", "client"),
    Index(None, "name"),
)

acquaintances = Table(
    "acquaintances",
    metadata,
    Column("scope", String(256), primary_key=True),  # "host <id>", "namespace <name> on <host id>"
    Column("kind", String(16), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("session", String(160), nullable=False),  # the visit by which it became known here
    Index(None, "scope", "first"),
    Index(None, "session"),
)
