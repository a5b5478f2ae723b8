# SPDX-License-Identifier: Apache-2.0
"""The tables of what runtimes and API servers told, of who tells it, and of the join with visits. See `schema`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from controller.store.schema import metadata

records = Table(
    "records",
    metadata,
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),
    Column("key", String(64), primary_key=True),  # the same saying, read twice, is one row
    Column("id", String(160), nullable=False),  # of the event that told it first
    Column("source", String(32), nullable=False),
    Column("action", String(64), nullable=False),
    Column("time", BigInteger, nullable=False),  # by the source's clock
    Column("container", String(160)),
    Column("exec_id", String(160)),
    Column("pid", BigInteger),
    Column("body", JSON, nullable=False),  # the wire event
    Column("pod", String(520)),  # of a request to the API server: namespace/name
    Column("request", String(64)),  # names the request in all its stages, and whoever tells of it
    Column("user", String(256)),
    Column("place", String(1024)),  # of the source: a socket, a file
    Column("change", JSON(none_as_null=True)),  # of roles and bindings: before, after, whether authorised
    Index(None, "time"),
    Index(None, "host", "container", "time"),
    Index(None, "host", "place", "time", "action"),  # what a source said is counted in here alone
    Index(None, "host", "exec_id"),
)

# Few records are of an API server's audit.
for _first, _rest in (("pod", ("time",)), ("request", ()), ("user", ("time",))):
    Index(
        f"ix_records_{_first}",
        *(records.c[_each] for _each in (_first, *_rest)),
        sqlite_where=text(f'"{_first}" IS NOT NULL'),
        postgresql_where=text(f'"{_first}" IS NOT NULL'),
    )

record_sources = Table(
    "record_sources",
    metadata,
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),
    Column("place", String(1024), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("since", BigInteger, nullable=False),  # from when on what it said was read, by the host's clock
    Column("away", BigInteger),
    Column("delay", BigInteger, nullable=False),  # how late its records come after the visits
    Column("owner", BigInteger, nullable=False, server_default="0"),  # the uid that the daemon runs as
    Column("entry_delay", BigInteger, nullable=False, server_default="0"),  # of entries, after its records
    *(Column(each, BigInteger, nullable=False, server_default="0") for each in ("gaps", "late", "ahead")),
    *(Column(each, BigInteger) for each in ("gap", "up")),  # the latest, by the host's clock
)

attributions = Table(
    "attributions",
    metadata,
    Column("session", String(160), primary_key=True),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("entry", String(160), nullable=False),
    Column("container", String(160)),
    Column("time", BigInteger, nullable=False),
    Column("means", String(32), nullable=False),
    Column("exec_id", String(160)),
    Column("pid", BigInteger),
    Column("command", Text),
    Column("uid", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),  # controller's clock
    Column("due", BigInteger),  # until when a record is waited for, controller's clock
    Column("status", String(16), nullable=False),  # awaited | recorded | unrecorded | unchecked
    Column("confidence", String(16), nullable=False),  # exact | strong | weak | none
    Column("reason", Text, nullable=False),
    Column("told", String(256)),  # which exec of the records it is
    Column("source", String(32)),
    Index(None, "host", "container", "time"),
    Index(None, "due"),
    Index(None, "host", "told"),
)

audit_sources = Table(
    "audit_sources",
    metadata,
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),  # the cluster, or who reads its log
    Column("place", String(1024), primary_key=True),  # "webhook", or the file
    Column("since", BigInteger, nullable=False),  # from when on it was heard, controller's clock
    Column("heard", BigInteger, nullable=False),  # when it was heard last, controller's clock
    Column("said", BigInteger, nullable=False),  # the latest that it told of, by its own clock
    Column("away", BigInteger),
    Column("delay", BigInteger, nullable=False),  # how late it tells, the longest of late
    Column("ahead", BigInteger, nullable=False),  # how far its clock is before the controller's, at least
    Column("behind", BigInteger, nullable=False, server_default="0"),  # how late it is at the least, of late
    Column("execs", BigInteger),  # since when it is known to tell of execs
    Column("early", BigInteger),  # since when it is known to tell of them before they end
    Column("gaps", BigInteger, nullable=False, server_default="0"),
    Column("gap", BigInteger),  # when the latest was, controller's clock
    Column(
        "trusted", Integer, nullable=False, server_default="0"
    ),  # of a log: believed about other hosts too
)

api_attributions = Table(
    "api_attributions",
    metadata,
    Column("session", String(160), primary_key=True),
    Column("host", String(64), ForeignKey("hosts.id"), nullable=False),
    Column("entry", String(160), nullable=False),
    Column("pod", String(520), nullable=False),  # namespace/name
    Column("container", Text),  # as its pod calls it
    Column("time", BigInteger, nullable=False),
    Column("command", Text),
    Column("arrived", BigInteger, nullable=False),  # controller's clock
    Column("due", BigInteger),  # until when a request is waited for, controller's clock
    Column("status", String(16), nullable=False),  # awaited | recorded | unrecorded | unchecked
    Column("confidence", String(16), nullable=False),  # exact | strong | weak | none
    Column("reason", Text, nullable=False),
    Column("sure", Integer, nullable=False),  # of unrecorded: nothing speaks against it
    Column("request", String(64)),  # which one it is
    Column("source", String(64)),  # the host or cluster that told of it
    Index(None, "pod", "time"),
    Index(None, "due"),
)
