# SPDX-License-Identifier: Apache-2.0
"""The tables of emulations, of the same database as `schema`'s. Which alert is whose stands in `alerts.emulation`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, String, Table, Text

from controller.store.schema import metadata

__all__ = ["emulation_containers", "emulations", "metadata"]

emulations = Table(
    "emulations",
    metadata,
    Column("run", String(32), primary_key=True),  # the value of its containers' label
    Column("detection", String(96), nullable=False),
    Column("runtime", String(16), nullable=False),
    Column("host", String(64), ForeignKey("hosts.id")),  # None: no sensor has told of its container
    Column("began", BigInteger, nullable=False),  # controller's clock, as all times here
    Column("ended", BigInteger),
    Column("fired", Boolean),
    Column("seconds", Float),
    Column("session", String(160)),
    Column("alert", String(32)),
    Column("also", JSON),  # other detections that fired
    Column("error", Text),
    Column("knobs", JSON(none_as_null=True)),  # in force for its containers alone, while it goes on
    Index(None, "detection", "host", "began"),
)

emulation_containers = Table(
    "emulation_containers",
    metadata,
    Column("container", String(160), primary_key=True),
    Column("run", String(32), ForeignKey("emulations.run"), nullable=False),
)
