# SPDX-License-Identifier: Apache-2.0
"""The tables of what operators said is normal, what came of it, and what rules look back on. See `schema`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from controller.store.schema import Serial, metadata

exceptions = Table(
    "exceptions",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("detection", String(96)),  # None: of all
    Column("expression", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("removed", BigInteger),
    Column("removed_by", Text),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("principal", Text, nullable=False),
    Column("pod", Text),  # patterns; None asks for nothing
    Column("container", Text),
    Column("image", Text),
    Column("host", Text),
    Column("means", JSON, nullable=False),
    Column("begins", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("reason", Text),
    Column("author", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("revoked_by", Text),
    Index(None, "until"),
    sqlite_autoincrement=True,  # people write the numbers down
)

approved_visits = Table(
    "approved_visits",
    metadata,
    Column("session", String(160), primary_key=True),
    Column("approval", BigInteger, ForeignKey("approvals.id"), nullable=False),
    Column("standing", String(16), nullable=False),  # approved | outlived
    Column("at", BigInteger, nullable=False),
    Index(None, "approval", "standing"),
)

withheld = Table(
    "withheld",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("session", String(160), nullable=False),  # or what stands there in an alert about no visit
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("detection", String(96), nullable=False),
    Column("event", String(160), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("because", String(16), nullable=False),  # exception | approval
    Column("name", String(64), nullable=False),  # of the exception; the approval's number
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("session", "detection", "event"),
    Index(None, "because", "name", "time"),
    Index(None, "detection", "time"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("object", String(128), nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "object"),
    sqlite_autoincrement=True,
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the secret
    Column("scopes", JSON, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("revoked_by", Text),
    Column("last_used", BigInteger),
)

knobs = Table(
    "knobs",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

visitors = Table(
    "visitors",
    metadata,
    Column("session", String(160), primary_key=True),  # of a visit that is no probe
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("principal", Text),
    Column("means", String(32), nullable=False),
    Column("container", String(160)),
    Column("image", Text),
    Column("namespace", Text),
    Index(None, "principal", "time"),
    Index(None, "host", "time"),
    Index(None, "container", "time"),
)

troubles = Table(
    "troubles",
    metadata,
    Column("detection", String(96), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("event", String(160), nullable=False),
    Column("what", String(16), nullable=False),  # failed | slow
    Column("text", Text, nullable=False),
)
