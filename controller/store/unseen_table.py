# SPDX-License-Identifier: Apache-2.0
"""The table of execs that a runtime told of, until their entry is found; as `schema` in all else."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from controller.store.schema import metadata

unseen = Table(
    "unseen",
    metadata,
    Column("host", String(64), ForeignKey("hosts.id"), primary_key=True),
    Column("key", String(256), primary_key=True),  # which exec of the records it is, as in attributions.told
    Column("record", String(160), nullable=False),  # id of the event that told that it began
    Column("container", String(160), nullable=False),
    Column("source", String(32), nullable=False),
    Column("exec_id", String(160)),
    Column("time", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),  # controller's clock
    Column("due", BigInteger),  # until when an entry is waited for, controller's clock
    Column("decided", BigInteger),
    Column("status", String(16), nullable=False),  # awaited | unseen | failed | seen: it came later
    Column("cause", String(32)),
    Column("reason", Text),
    Index(None, "due"),
    Index(None, "time"),
)
