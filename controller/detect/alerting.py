# SPDX-License-Identifier: Apache-2.0
"""From what was found to the alerts that are kept: of visits, and of what belongs to no visit.

What operators said is asked first (`policy`): what they except or approve is kept back, counted and shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.detect import alerts
from controller.detect.visits import stored_findings
from controller.store import approvals, counters, raising, withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.policy import Host, Policy
    from controller.detect.rule import Event
    from controller.detect.visits import Visited, Withheld
    from controller.store.raising import NewAlert

WITHDRAWN: Final = "the visit was a health check that its container declares, which the sensor learned late"


class Alerting:
    """The alerts of one batch after the other. `titles` are those of the detections, by their ids."""

    def __init__(self, policy: Policy, titles: Mapping[str, str], clock: Callable[[], int]) -> None:
        self._policy = policy
        self._titles = titles
        self._clock = clock
        self._touched: dict[str, tuple[Visited, Host]] = {}
        """Visits of the batch under way: their alerts are refreshed once, at its end."""

    def begin(self) -> None:
        """A batch begins."""
        self._touched.clear()

    def drop(self, session: str) -> None:
        """What of this visit came in the batch was undone."""
        self._touched.pop(session, None)

    def finish(self, connection: Connection) -> None:
        """The batch ends: what the alerts say of its visits is brought up to date."""
        touched = [(visited, host) for visited, host in self._touched.values() if visited.findings]
        raising.refresh_all(connection, [self.described(host, visited) for visited, host in touched])

    def described(self, host: Host, visited: Visited) -> NewAlert:
        """The alert of a visit that has findings, as it stands now."""
        return alerts.describe(visited, *host, self._titles)

    def visit(self, connection: Connection, host: Host, visited: Visited, found: Sequence[Raised]) -> None:
        """Brings what was found to the visit's alert, which is whole at the latest with the end of the batch."""
        self._touched[visited.session] = (visited, host)
        if not found:
            return
        known = (*visited.findings, *(each.finding for each in visited.withheld))
        admitted, refused = alerts.admit(visited.entry, known, found)
        if refused:
            counters.add(connection, "detect.findings_left_out", refused)
        new, kept = self._policy.divide(connection, host, visited, admitted, self._clock())
        self._keep_back(connection, visited.session, host, kept)
        before = {(each.finding.detection, each.finding.event) for each in visited.withheld}
        visited.withheld = _still_withheld(visited.withheld, kept, new)
        visited.findings = alerts.judged_again(visited.findings, new)
        if new:
            alert = self.described(host, visited)
            told = [(each.detection, each.event) for each in new]
            withheld.release(connection, visited.session, [each for each in told if each in before])
            done = raising.raise_(connection, alert, [alerts.to_keep(each) for each in new], self._clock())
            self._say_outlived(connection, visited, done)

    def alone(
        self,
        connection: Connection,
        host: Host,
        event: Event,
        what: tuple[str, Callable[..., NewAlert]],
        found: Sequence[Raised],
    ) -> None:
        """The alert of an event of no visit. `what`: its subject, and what describes it."""
        (subject, describe), now = what, self._clock()
        known = stored_findings(connection, subject)
        new, refused = alerts.admit(None, known, found)
        if refused:
            counters.add(connection, "detect.findings_left_out", refused)
        alerted, kept = self._policy.alone(host, event, new, now)
        self._keep_back(connection, subject, host, kept)
        if alerted:
            since = raising.first_seen(connection, subject)
            both = alerts.judged_again(known, alerted)
            alert = describe(since, *host, event, (both, self._titles))
            raising.raise_(connection, alert, [alerts.to_keep(each) for each in alerted], now)

    def approve(self, connection: Connection, visited: Visited) -> None:
        """It was learned late that the visit is within a window: what it was alerted of is closed."""
        approved = visited.approved
        if approved is None or not self._policy.covers(connection, visited):
            return
        reason = f"approved: {approvals.ref(*approved)['sentence']}"
        alert = raising.alert_id(visited.session)
        if raising.withdraw(connection, alert, reason, self._clock(), closed="benign_true_positive"):
            counters.add(connection, "detect.alerts_approved")

    def withdraw(self, connection: Connection, session: str) -> None:
        """It was learned late that the visit is a health check."""
        raising.withdraw(connection, raising.alert_id(session), WITHDRAWN, self._clock())
        counters.add(connection, "detect.alerts_withdrawn")

    def take_back(
        self, connection: Connection, host: Host, visited: Visited, detection: str, reason: str
    ) -> None:
        """There is a record after all: what was found for want of one does not stand any more."""
        if visited.findings:
            raising.refresh(connection, self.described(host, visited))
        if raising.take_back(connection, visited.session, detection, reason, self._clock()):
            counters.add(connection, "detect.findings_taken_back")
        visited.findings = tuple(each for each in visited.findings if each.detection != detection)

    def _say_outlived(self, connection: Connection, visited: Visited, done: str) -> None:
        if done in {"raised", "reopened"} and visited.approved and visited.approved.standing == "outlived":
            detail = {"approval": approvals.ref(*visited.approved)["sentence"]}
            raising.note(connection, raising.alert_id(visited.session), "outlived", detail, self._clock())

    def _keep_back(self, connection: Connection, session: str, host: Host, kept: Sequence[Withheld]) -> None:
        rows = [(alerts.to_keep(each.finding), each.because, each.name) for each in kept]
        new = withheld.keep(connection, session, host.id, rows, self._clock())
        if new:
            counters.add(connection, "detect.findings_withheld", new)


def _still_withheld(
    before: Sequence[Withheld], kept: Sequence[Withheld], alerted: Sequence[Raised]
) -> tuple[Withheld, ...]:
    """What of a visit is withheld by now, one for each detection and event."""
    by_key = {(each.finding.detection, each.finding.event): each for each in (*before, *kept)}
    for each in alerted:
        by_key.pop((each.detection, each.event), None)
    return tuple(by_key.values())
