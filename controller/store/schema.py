# SPDX-License-Identifier: Apache-2.0
"""The tables. Times are nanoseconds since the Unix epoch; `body` columns hold JSON of wire types.

The `events` table is the truth and the embedded bus: it is written at ingest, in the order of arrival, before
the sensor is answered. Every other table of observations is a projection of it, which may be applied twice
without changing the result. Only column types that SQLite and PostgreSQL share are used.
"""

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
    text,
)

from controller.store import people_schema

metadata = people_schema.metadata

# An INTEGER PRIMARY KEY is SQLite's rowid: only that exact type counts up by itself there.
Serial = BigInteger().with_variant(Integer(), "sqlite")

hosts = Table(
    "hosts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("machine", String(128)),
    Column("kernel", Text, nullable=False),
    Column("os", Text, nullable=False),
    Column("arch", Text, nullable=False),
    Column("sensor", Text, nullable=False),
    Column("credential", String(64), nullable=False, unique=True),  # SHA-256, hex; the secret is not kept
    Column("enrolled", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("replaced_by", String(64)),  # the host that the same machine was enrolled as again
    Column("boot", Text),
    Column("last_seen", BigInteger),
    Column("last_event", BigInteger),
    Column("skew", BigInteger),  # host's clock minus the controller's, at the last message
    Column("heartbeat", JSON),  # the latest wire.Heartbeat
    Column("kind", String(16), nullable=False, server_default="host"),  # host | cluster: an API server
    # Whose pods it runs, learned: the host or cluster that tells of its requests.
    Column("cluster", String(64)),
)

enrol_tokens = Table(
    "enrol_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)

events = Table(
    "events",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", String(160), nullable=False, unique=True),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("session", String(160)),
    Column("target", String(160)),  # of an update: the id of the event that it completes
    Column("time", BigInteger, nullable=False),
    Column("mono", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),
    Index(None, "session", "kind", "mono"),
    Index(None, "host", "time"),
    sqlite_autoincrement=True,  # a sequence number never comes back, even if retention empties the table
)

RARE = "kind IN ('loss', 'agent')"
"""A query on these kinds says so in these very words: SQLite uses a partial index on the same text only."""

# Few events are updates, losses or notes of the sensor: a partial index costs the others nothing.
for _column, _where in (("target", "target IS NOT NULL"), ("host", RARE)):
    Index(
        f"ix_events_{_column}_partial",
        events.c[_column],
        sqlite_where=text(_where),
        postgresql_where=text(_where),
    )

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

containers = Table(
    "containers",
    metadata,
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),
    Column("id", String(160), primary_key=True),
    Column("name", Text),
    Column("image", Text),
    Column("runtime", String(32), nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("stopped", BigInteger),
    Column("body", JSON, nullable=False),
    Column("activities_left_out", BigInteger, nullable=False, server_default="0"),
)

container_addresses = Table(
    "container_addresses",
    metadata,
    Column("address", String(64), primary_key=True),
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),
    Column("container", String(160), primary_key=True),
    Index(None, "host", "container"),
)

activities = Table(
    "activities",
    metadata,
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),
    Column("container", String(160), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("what", String(16), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),
    Index(None, "host", "container", "last"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("entry", String(160)),  # id of its entry or attempt; None when the entry was lost
    Column("means", String(32)),
    Column("container", String(160)),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("code", Integer),
    Column("signal", Integer),
    Column("duration", BigInteger),
    Index(None, "host", "began"),
    Index(None, "host", "container"),
    Index(None, "began"),
)

entries = Table(
    "entries",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("session", String(160), nullable=False),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # entry | attempt
    Column("time", BigInteger, nullable=False),
    Column("means", String(32), nullable=False),
    Column("verdict", String(16)),
    Column("container", String(160)),
    Column("container_name", Text),
    Column("image", Text),
    Column("uid", BigInteger),
    Column("body", JSON, nullable=False),  # the wire event with its updates merged in
    Index(None, "time"),
    Index(None, "host", "time"),
    Index(None, "container", "time"),
    Index(None, "session"),
)

# Health checks come by the thousand and are mostly counted; all others stand in their way then.
for _name, _time in ((sessions, sessions.c.began), (entries, entries.c.time)):
    Index(
        f"ix_{_name.name}_probes",
        _time,
        sqlite_where=text("means = 'probe'"),
        postgresql_where=text("means = 'probe'"),
    )

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(32), primary_key=True),  # short hash of `session`, so that raising twice is once
    Column("session", String(160), nullable=False, unique=True),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("severity", Integer, nullable=False),  # 1 low, 2 medium, 3 high, 4 critical: the highest finding
    Column("state", String(24), nullable=False),
    Column("title", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("means", String(32), nullable=False),
    Column("container", String(160)),
    Column("container_name", Text),
    Column("image", Text),
    Column("user", Text),
    Column("principal", Text),  # the name of whom the visit was by, NULL where nobody is named
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("raised", BigInteger, nullable=False),  # controller's clock
    Column("changed", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),  # events of the visit so far
    Column("assignee", Text),
    Column("close_reason", Text),
    # Digest of what makes two visits alike: what was found, where, by which way.
    Column("likeness", String(32)),
    Column("repeats", String(32)),  # the alert alike that was resolved last when this one was raised
    Column("emulation", String(32)),  # the run that made it happen; None of what nobody staged
    Index(None, "state", "severity", "last_seen"),
    Index(None, "likeness", "changed"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("alert", String(32), ForeignKey("alerts.id"), nullable=False),
    Column("detection", String(96), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("event", String(160), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fields", JSON, nullable=False),  # dotted paths of the event that the rule matched, with values
    UniqueConstraint("alert", "detection", "event"),
    Index(None, "detection", "time"),
)

alert_history = Table(
    "alert_history",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("alert", String(32), ForeignKey("alerts.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column(
        "action", String(32), nullable=False
    ),  # raised | escalated | state | assign | comment | entry_completed | withdrawn
    Column("detail", JSON, nullable=False),
    Index(None, "alert"),
    sqlite_autoincrement=True,  # followers of the change feed resume by this id
)

login_links = Table(
    "login_links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("query", Text, nullable=False),  # what stands after the question mark of its address
    Column("author", Text, nullable=False),
    Column("saved", BigInteger, nullable=False),
)
