# SPDX-License-Identifier: Apache-2.0
"""Counters that outlive the process: what was stored, what was refused and why, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


def add(connection: Connection, name: str, count: int = 1) -> None:
    """Adds to the counter `name` (dotted: "detect.rule_failed.<detection>"), which begins at 0."""
    raise NotImplementedError


def all_(connection: Connection, prefix: str = "") -> dict[str, int]:
    """Every counter whose name begins with `prefix`."""
    raise NotImplementedError
