# SPDX-License-Identifier: Apache-2.0
"""The tables of baselines, see `baselines`. Times are by the controller's clock, in ns since the Unix epoch."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from controller.store.schema import metadata

baselines = Table(
    "baselines",
    metadata,
    Column("subject", String(600), primary_key=True),  # "image NAME", "workload NAME"
    Column("created", BigInteger, nullable=False),  # all times by the controller's clock
    Column("until", BigInteger, nullable=False),  # until when what containers do of themselves is learned
    Column("frozen", BigInteger),  # since when
    Column("changed", BigInteger, nullable=False),
    Column("author", Text),  # of the last change that a person made
    Column("left_out", BigInteger, nullable=False, server_default="0"),  # traits for which there was no room
    Index(None, "changed"),
)

baseline_traits = Table(
    "baseline_traits",
    metadata,
    Column("subject", String(600), ForeignKey("baselines.subject"), primary_key=True),
    Column("key", String(32), primary_key=True),  # digest of side, facet and value
    Column("side", String(8), nullable=False),  # own | visit
    Column("facet", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("status", String(16), nullable=False),  # known | waiting | rejected
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("source", Text, nullable=False),  # the container or the session that it was first seen of
    Column("author", Text),  # who accepted or rejected it; None: it was learned
)
