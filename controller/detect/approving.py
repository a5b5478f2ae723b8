# SPDX-License-Identifier: Apache-2.0
"""A visit that a person approved becomes part of what is normal for visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.detect import visits
from controller.detect.baseline import of_visit, subjects
from controller.policy.principals import principal
from controller.store import baselines

if TYPE_CHECKING:
    from sqlalchemy import Connection

LAST = 2**62
"""A sequence number above all that there are."""


def approve(connection: Connection, session: str, by: tuple[str, int]) -> tuple[tuple[str, ...], int] | None:
    """Learns from a visit, for `by` (name, time): which baselines, and how many traits were new.

    None: there is no such visit, or nothing names what its container is of. Raises baselines.FrozenError.
    """
    visited = visits.load(connection, session, LAST)
    if visited.entry is None or visited.entry["container"]["id"] is None:
        return None
    named = subjects(visited.entry["container"])
    if not named:
        return None
    who = principal(visited.entry, visited.principal, visited.api)
    traits = of_visit(visited.entry, visited.executions, who)
    return named, baselines.approve(connection, named, traits, session, by)
