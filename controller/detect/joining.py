# SPDX-License-Identifier: Apache-2.0
"""What of a batch of events the join has to look at, and the visits that it says something new about.

Of each visit it says what its record is, and who it was by: the record's times help to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.store import (
    api_attribution,
    attribution,
    audit_sources,
    listening,
    principals,
    records,
    unseen,
    unseen_requests,
)
from controller.store.hearing import Hearing
from controller.store.raising import TAKEN_BACK

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.detect.rule import Event
    from controller.detect.visits import Visited

RULES: Final = {"unrecorded_entry": "record", "api_bypass": "api"}
"""The detections whose findings are taken back when the record, or the request, comes after all."""


class Joining:
    """One transaction's work, begun by `take`, done by `settle` and `decide`. Holds nothing between two of them."""

    def __init__(self) -> None:
        self._near: dict[tuple[str, str], list[int]] = {}
        self._pods: dict[str, list[int]] = {}
        self._who: dict[str, set[str]] = {}
        """Visits of which it is to be said who they were by, by host."""
        self._execs: dict[str, set[str]] = {}
        self._hearing = Hearing()
        self._asked: dict[str, list[Event]] = {}
        """Entries and attempts, by host."""
        self._said: dict[str, list[Event]] = {}
        """What runtimes said of execs, by host."""
        self._podless: dict[str, None] = {}

    def take(self, connection: Connection, host: str, event: Event, now: int) -> None:
        """An entry or attempt, with what is known of it by now, or a record; others do not matter."""
        container = None
        self._take_who(host, event)
        if event["kind"] in {"entry", "attempt"}:
            self._asked.setdefault(host, []).append(event)
            container = event["container"]["id"]
            pod = api_attribution.ask(connection, host, event, now)
            self._podless.pop(event["session"], None)
            if pod is not None:
                self._pods.setdefault(pod, []).append(event["time"])
            else:
                self._podless[event["session"]] = None
        elif event["kind"] == "record" and event["source"] == "kubernetes":
            audit_sources.take(connection, host, event, now)
            unseen_requests.expect(connection, host, event, now)
            pod = records.pod(event)
            if pod is not None:
                self._pods.setdefault(pod, []).append(event["time"])
        elif event["kind"] == "record" and event["action"].startswith("source_"):
            listening.hear(connection, host, event)
        elif event["kind"] == "record" and event["action"] in attribution.OF_AN_EXEC:
            self._hearing.take(connection, host, event)
            container = event["container_id"]
            self._said.setdefault(host, []).append(event)
        if container is not None:
            self._near.setdefault((host, container), []).append(event["time"])

    def _take_who(self, host: str, event: Event) -> None:
        """What may tell who it was: the visit itself, and the times that the record of its exec has."""
        opens = event["kind"] == "escape" and event["session"] == event["id"]
        if event["kind"] in {"entry", "attempt"} or opens:
            # Looked at with the others of the batch: some of its clients may be theirs.
            self._who.setdefault(host, set()).add(event["session"])
        elif event["kind"] == "record" and event["action"] in attribution.OF_AN_EXEC and event["exec_id"]:
            self._execs.setdefault(host, set()).add(event["exec_id"])

    def settle(self, connection: Connection, now: int) -> list[str]:
        """Joins what was taken; the visits of which something else is said now than before, each once."""
        for host, entries in self._asked.items():
            attribution.ask_all(connection, host, entries, now)
        for host, told in self._said.items():
            unseen.expect_all(connection, host, told, now)
        api_attribution.forget(connection, list(self._podless))
        found: dict[str, None] = {}
        by_host: dict[str, dict[str, list[list[int]]]] = {}
        for (host, container), times in self._near.items():
            by_host.setdefault(host, {})[container] = _together(times)
        for host, near in by_host.items():
            found |= dict.fromkeys(sorted(attribution.settle_all(connection, host, near, now)))
        for pod, times in self._pods.items():
            for around in _together(times):
                found |= dict.fromkeys(sorted(api_attribution.settle(connection, pod, around, now)))
        return self._say_who(connection, found)

    def decide(self, connection: Connection, now: int) -> list[str]:
        """Gives the verdict on visits whose time is up; those."""
        decided = [*attribution.decide(connection, now), *api_attribution.decide(connection, now)]
        return self._say_who(connection, dict.fromkeys(decided))

    def _say_who(self, connection: Connection, found: dict[str, None]) -> list[str]:
        """With the visits that are said to be by somebody else than before, now that so much is known."""
        for host, sessions in attribution.hosts_of(connection, found).items():
            self._who.setdefault(host, set()).update(sessions)
        for host, execs in self._execs.items():
            self._who.setdefault(host, set()).update(attribution.of_execs(connection, host, execs))
        for host, asked in self._who.items():
            found |= dict.fromkeys(sorted(principals.decide(connection, host, asked)))
        self.forget()
        return list(found)

    def forget(self) -> None:
        """The transaction failed."""
        self._near.clear()
        self._pods.clear()
        self._who.clear()
        self._execs.clear()
        self._hearing.forget()
        self._asked.clear()
        self._said.clear()
        self._podless.clear()


def due(connection: Connection, now: int) -> bool:
    """Whether the time of some visit, or of some record, is up."""
    return any(each.due(connection, now) for each in (attribution, api_attribution, unseen))


def void(visited: Visited) -> list[tuple[str, str]]:
    """Detections whose findings for want of a record, or a request, do not stand any more, and why."""
    found = []
    for detection, name in RULES.items():
        known = getattr(visited, name)
        stands = any(
            each.detection == detection and not each.reason.startswith(TAKEN_BACK)
            for each in visited.findings
        )
        if stands and (known is None or known["status"] != "unrecorded"):
            found.append((detection, str(known and known["reason"])))
    return found


def _together(times: list[int]) -> list[list[int]]:
    """Times that are near each other: what lies hours apart is looked at apart."""
    groups: list[list[int]] = []
    for time in sorted(times):
        if groups and time - groups[-1][0] < 60 * 10**9:
            groups[-1].append(time)
        else:
            groups.append([time])
    return groups
