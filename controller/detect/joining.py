# SPDX-License-Identifier: Apache-2.0
"""What of a batch of events the join has to look at, and the visits that it says something new about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.store import attribution
from controller.store.raising import TAKEN_BACK

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.rule import Event

RULE: Final = "unrecorded_entry"
"""The detection whose finding is taken back when the record comes after all."""


class Joining:
    """One transaction's work, begun by `take`, done by `changed`. Holds nothing between two of them."""

    def __init__(self) -> None:
        self._near: dict[tuple[str, str], list[int]] = {}

    def take(self, connection: Connection, host: str, event: Event, now: int) -> None:
        """An entry or attempt, with what is known of it by now, or a record; others do not matter."""
        container = None
        if event["kind"] in {"entry", "attempt"}:
            attribution.ask(connection, host, event, now)
            container = event["container"]["id"]
        elif event["kind"] == "record" and event["action"].startswith("source_"):
            attribution.hear(connection, host, event)
        elif event["kind"] == "record" and event["action"] in attribution.OF_AN_EXEC:
            container = event["container_id"]
        if container is not None:
            self._near.setdefault((host, container), []).append(event["time"])

    def changed(self, connection: Connection, now: int) -> list[str]:
        """The visits of which something else is said now than before, each once."""
        found: dict[str, None] = {}
        for (host, container), times in self._near.items():
            for near in _together(times):
                found |= dict.fromkeys(sorted(attribution.settle(connection, host, container, near, now)))
        self._near.clear()
        return list(found | dict.fromkeys(attribution.decide(connection, now)))

    def forget(self) -> None:
        """The transaction failed."""
        self._near.clear()


def stands(finding: Raised) -> bool:
    """Whether it is a finding for want of a record, and was not taken back."""
    return finding.detection == RULE and not finding.reason.startswith(TAKEN_BACK)


def _together(times: list[int]) -> list[list[int]]:
    """Times that are near each other: what lies hours apart is looked at apart."""
    groups: list[list[int]] = []
    for time in sorted(times):
        if groups and time - groups[-1][0] < 60 * 10**9:
            groups[-1].append(time)
        else:
            groups.append([time])
    return groups
