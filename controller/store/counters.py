# SPDX-License-Identifier: Apache-2.0
"""Counters that outlive the process: what was stored, what was refused and why, what failed.

Names are dotted. Of a host: "refused.<cause>/<host id>", beside "refused.<cause>" for all hosts and for those
who are none.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from controller.store.dialect import insert_into
from controller.store.schema import counters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection
    from sqlalchemy.dialects import postgresql, sqlite


def add(connection: Connection, name: str, count: int = 1) -> None:
    """Adds to the counter `name` (dotted: "detect.rule_failed.<detection>"), which begins at 0."""
    add_all(connection, {name: count})


def all_(connection: Connection, prefix: str = "") -> dict[str, int]:
    """Every counter whose name begins with `prefix`."""
    query = select(counters.c.name, counters.c.value).order_by(counters.c.name)
    if prefix:
        query = query.where(counters.c.name.startswith(prefix, autoescape=True))
    return {row.name: row.value for row in connection.execute(query)}


class Tally:
    """Counts in memory what strangers can cause, so that being refused does not cost a write to the disk.

    `take` it into the database every second; a kill loses at most that second's refusals, and no event.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def refused(self, cause: str, host: str | None = None) -> None:
        """Counts a refusal, of `host` too where it has proven who it is."""
        with self._lock:
            self._counts[f"refused.{cause}"] += 1
            if host is not None:
                self._counts[f"refused.{cause}/{host}"] += 1

    def add(self, name: str, count: int = 1) -> None:
        """Adds to any other counter."""
        with self._lock:
            self._counts[name] += count

    def take(self) -> Mapping[str, int]:
        """What was counted since the last time: hand it to `add_all`."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken


def add_all(connection: Connection, counts: Mapping[str, int]) -> None:
    """Adds each of `counts`."""
    if counts:
        rows = [{"name": name, "value": count} for name, count in counts.items()]
        connection.execute(_added(connection.dialect.name), rows)


@cache
def _added(dialect: str) -> sqlite.Insert | postgresql.Insert:
    statement = insert_into(dialect, counters).values(name=bindparam("name"), value=bindparam("value"))
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": counters.c.value + statement.excluded.value}
    )
