# SPDX-License-Identifier: Apache-2.0
"""From what was found to the alerts that are kept: of visits, and of what belongs to no visit.

What operators said is asked first (`policy`): what they except or approve is kept back, counted and shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from controller.detect import alerts
from controller.detect.visits import stored_findings
from controller.store import alert_rows, approvals, counters, raising, withheld
from controller.store.newly_raised import Newly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.policy import Host, Policy
    from controller.detect.rule import Event
    from controller.detect.visits import Visited, Withheld
    from controller.store.alert_rows import NewAlert

WITHDRAWN: Final = "the visit was a health check that its container declares, which the sensor learned late"


class Alerting:
    """The alerts of one batch after the other. `titles` are those of the detections, by their ids."""

    def __init__(self, policy: Policy, titles: Mapping[str, str], clock: Callable[[], int]) -> None:
        self._policy = policy
        self._titles = titles
        self._clock = clock
        self._touched: dict[str, tuple[Visited, Host]] = {}
        """Visits of the batch under way: their alerts are refreshed once, at its end."""
        self._new: dict[str, list[list[Raised]]] = {}
        """Those of them whose first findings wait to be raised with the others', and what was found each time."""
        self._new_of: set[str] = set()
        """The detections that made them."""
        policy.asked = self._asked

    def begin(self) -> None:
        """A batch begins."""
        self._touched.clear()
        self._new.clear()
        self._new_of.clear()

    def drop(self, session: str) -> None:
        """What of this visit came in the batch was undone."""
        self._touched.pop(session, None)
        self._new.pop(session, None)

    def finish(self, connection: Connection) -> None:
        """The batch ends: what the alerts say of its visits is brought up to date."""
        raised = set(self._new)
        self._raise_new(connection)
        touched = [
            self.described(host, visited)
            for session, (visited, host) in self._touched.items()
            if visited.findings and session not in raised
        ]
        raising.refresh_all(connection, touched)

    def note(self, connection: Connection, session: str, action: str, detail: Mapping[str, Any]) -> None:
        """Writes into the history of a visit's alert what nsentry itself did."""
        self._raise_new(connection)
        alert_rows.note(connection, alert_rows.alert_id(session), action, detail, self._clock())

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
        first = not visited.findings
        visited.findings = alerts.judged_again(visited.findings, new)
        if new and (first or visited.session in self._new) and visited.approved is None and not before:
            self._new.setdefault(visited.session, []).append(new)
            self._new_of.update(each.detection for each in new)
        elif new:
            self._raise_new(connection)
            alert = self.described(host, visited)
            told = [(each.detection, each.event) for each in new]
            withheld.release(connection, visited.session, [each for each in told if each in before])
            done = raising.raise_(connection, alert, [alerts.to_keep(each) for each in new], self._clock())
            self._say_outlived(connection, visited, done)

    def _raise_new(self, connection: Connection) -> None:
        """Raises what waits: visits that had no alert before."""
        waiting, self._new = self._new, {}
        self._new_of.clear()
        raised = []
        for session, groups in waiting.items():
            visited, host = self._touched[session]
            found = [[alerts.to_keep(each) for each in group] for group in groups]
            raised.append(Newly(self.described(host, visited), found))
        raising.raise_all(connection, raised, self._clock())

    def _asked(self, connection: Connection, detection: str) -> None:
        """A rule looks back on where a detection fired: what waits of that must be there."""
        if detection in self._new_of:
            self._raise_new(connection)

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
        self._raise_new(connection)
        approved = visited.approved
        if approved is None or not self._policy.covers(connection, visited):
            return
        reason = f"approved: {approvals.ref(*approved)['sentence']}"
        alert = alert_rows.alert_id(visited.session)
        if raising.withdraw(connection, alert, reason, self._clock(), closed="benign_true_positive"):
            counters.add(connection, "detect.alerts_approved")

    def withdraw(self, connection: Connection, session: str) -> None:
        """It was learned late that the visit is a health check."""
        self._raise_new(connection)
        raising.withdraw(connection, alert_rows.alert_id(session), WITHDRAWN, self._clock())
        counters.add(connection, "detect.alerts_withdrawn")

    def take_back(
        self, connection: Connection, host: Host, visited: Visited, detection: str, reason: str
    ) -> None:
        """There is a record after all: what was found for want of one does not stand any more."""
        self._raise_new(connection)
        if visited.findings:
            raising.refresh(connection, self.described(host, visited))
        if raising.take_back(connection, visited.session, detection, reason, self._clock()):
            counters.add(connection, "detect.findings_taken_back")
        visited.findings = tuple(each for each in visited.findings if each.detection != detection)

    def _say_outlived(self, connection: Connection, visited: Visited, done: str) -> None:
        if done in {"raised", "reopened"} and visited.approved and visited.approved.standing == "outlived":
            detail = {"approval": approvals.ref(*visited.approved)["sentence"]}
            alert_rows.note(
                connection, alert_rows.alert_id(visited.session), "outlived", detail, self._clock()
            )

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
