# SPDX-License-Identifier: Apache-2.0
"""How well a runtime's records are heard: learned as they come, and said of the host while it is amiss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, select, update

from controller.detect import join
from controller.store.records_schema import record_sources
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

AHEAD_NS: Final = 1_000_000_000
"""A clock that is further ahead puts records and visits into the wrong order."""
LATE_NS: Final = 30_000_000_000
"""What tells so late has visits be unrecorded for a while, or nobody be told for long."""
FRESH_NS: Final = 3_600_000_000_000
"""For so long after a gap it is said that there was one."""
_WORTH_NS: Final = 100_000_000
"""By how much something must have changed to be written anew."""
_s = record_sources


class Hearing:
    """What the records of one transaction tell of their sources."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, int]] = {}

    def take(self, connection: Connection, host: str, event: Mapping[str, Any]) -> None:
        """A record that a runtime's daemon made. What it tells of the time before it was up is late for that reason."""
        key = (host, event["place"])
        known = self._known.get(key)
        mine = and_(_s.c.host == host, _s.c.place == event["place"])
        if known is None:
            row = connection.execute(select(_s.c.late, _s.c.ahead, _s.c.up).where(mine)).one_or_none()
            if row is None:
                return
            known = self._known[key] = {"late": row.late, "ahead": row.ahead, "up": row.up or 0}
        if event["time"] < known["up"]:
            return
        late = event["read"] - event["time"]
        learned = {
            "late": join.learned(known["late"], max(0, late)),
            "ahead": join.learned(known["ahead"], max(0, -late)),
        }
        if any(abs(learned[name] - known[name]) > _WORTH_NS for name in learned):
            connection.execute(update(_s).where(mine).values(learned))
            known |= learned

    def forget(self) -> None:
        """The transaction has ended."""
        self._known.clear()


def amiss(source: Mapping[str, Any], now: int) -> list[str]:
    """What of a source somebody should know, one sentence each; that it is away is said elsewhere."""
    name, said = f"{source['source']} at {source['place']}", []
    if source["ahead"] > AHEAD_NS:
        said.append(f"the clock of {name} is {source['ahead'] / 1e9:.1f} s ahead of its host's")
    if source["late"] > LATE_NS:
        said.append(f"{name} tells {source['late'] / 1e9:.0f} s late, or its clock is behind")
    if source["gap"] is not None and now - source["gap"] < FRESH_NS:
        said.append(f"something of what {name} said was missed at {rfc3339(source['gap'])[:19]}Z")
    return said


def of_hosts(connection: Connection, now: int) -> dict[str, list[str]]:
    """What is amiss, by the host's id."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(select(_s).order_by(_s.c.host, _s.c.place)).mappings():
        if told := amiss(dict(row), now):
            found.setdefault(row["host"], []).extend(told)
    return found
