# SPDX-License-Identifier: Apache-2.0
"""What operators said, applied to what was found: which findings are alerted, and which are withheld, by what.

Exceptions and knobs are read again when the audit log has a new line, which every change of them writes. What
was alerted before an exception was added stays alerted; what was withheld stays so when it expires.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from controller.detect.held import open_means
from controller.detect.rule import Around
from controller.detect.visits import Approved, Withheld
from controller.policy import approval as windows
from controller.policy import expression, knobs
from controller.policy.fields import About, subject
from controller.policy.principals import asker, principal
from controller.store import approvals, audit, completion, emulations, exceptions, visitors
from controller.store import knobs as kept_knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.rule import Event
    from controller.detect.visits import Visited

log = logging.getLogger(__name__)

UNCOVERED: Final = frozenset({"escape"})
"""Kinds of event that no approval covers: who may enter a container may not leave it for the host."""


class Excepted(NamedTuple):
    """An exception that is not removed, ready to be asked."""

    name: str
    detection: str | None
    expires: int
    expression: expression.Expression


class Host(NamedTuple):
    """Where something happened: id and name."""

    id: str
    name: str


class Policy:
    """As of the transaction under way: `refresh` it at the beginning of each."""

    def __init__(self, settings: Mapping[str, str | Sequence[str]] | None = None) -> None:
        """`settings`: the knobs of the settings file, which those that are kept go before."""
        self._settings = dict(settings or {})
        self._version = -1
        self._noted: dict[str, dict[str, Any]] = {}
        """Visits as they were noted in the transaction under way."""
        self._exceptions: tuple[Excepted, ...] = ()
        self.knobs = knobs.read(self._settings)
        self._staged = False
        """Whether an emulation with knobs of its own may go on: the audit log has its beginning."""
        self.windows = False
        """Whether there is any approval."""
        self.asked: Callable[[Connection, str], None] = lambda _connection, _detection: None
        """Called before a rule is told where a detection fired."""

    def refresh(self, connection: Connection) -> bool:
        """Reads what was changed since; whether anything was."""
        self._noted.clear()
        version = audit.version(connection)
        if version == self._version:
            return False
        self._exceptions = tuple(_active(connection))
        self.knobs = kept_knobs.in_force(connection, self._settings)
        self.windows = approvals.any_since(connection, 0)
        self._staged = emulations.any_knobs(connection, time.time_ns())
        self._version = version
        return True

    def forget(self) -> None:
        """The transaction failed: all is read again."""
        self._version = -1

    def prepare(self, connection: Connection, visits: Sequence[tuple[Host, Visited]]) -> None:
        """Notes visits that begin together, for each other's rules to look back on; not those that may have to wait."""
        settled = [each for each in visits if not self.windows and not open_means(each[1].entry)]
        rows = [row for host, visited in settled if (row := _visitor(host, visited)) is not None]
        visitors.note_all(connection, rows)
        self._noted |= {row["session"]: row for row in rows}

    def surround(self, connection: Connection, host: Host, visited: Visited) -> None:
        """Gives the visit what its rules may look at besides itself, and keeps it for later ones to look back on."""
        entry = visited.entry
        if entry is None:
            visited.around = Around(host.id, self.knobs)
            return
        container = entry["container"]
        in_force = self.knobs_for(connection, host, container["id"], container["name"] or "")
        row = _visitor(host, visited)
        if row is not None and self._noted.get(visited.session) != row:
            visitors.note_all(connection, [row])
            self._noted[visited.session] = row
        past = visitors.StoredPast(connection, visited.session, entry["time"], self.asked)
        ref = approvals.ref(*visited.approved) if visited.approved else None
        visited.around = Around(host.id, in_force, past, ref)

    def knobs_for(self, connection: Connection, host: Host, container: str | None, name: str) -> knobs.Knobs:
        """Of what an emulation made, by its container or its name: the knobs in force, but for those of its run."""
        mine = (
            emulations.knobs_of(connection, host.id, container, name, time.time_ns())
            if self._staged
            else None
        )
        return knobs.over(self.knobs, mine) if mine else self.knobs

    def waits(self, connection: Connection, host: Host, visited: Visited, *, decided: bool = False) -> bool:
        """Whether it is not known yet who came in, and a window is open that may be his: judged when it is.

        Who asked a daemon is decided with the batch (`decided`), who asked an API server once its audit has told,
        or is late.
        """
        entry = visited.entry
        if not self.windows or entry is None or entry["kind"] in UNCOVERED or entry["means"] == "probe":
            return False
        awaited = visited.api is not None and visited.api["status"] == "awaited"
        if not awaited and (decided or visited.principal is not None):
            return False
        who = principal(entry, visited.principal, visited.api)
        return any(
            windows.refusal(each, entry, host.name, who) == windows.UNKNOWN
            for each in approvals.at(connection, entry["time"])
        )

    def stand(self, connection: Connection, host: Host, visited: Visited, now: int) -> str | None:
        """Finds the window that the visit is within by now; what changed: "approved", "outlived", "lapsed" or None.

        Whether a visit outlived its window is decided once, and stands.
        """
        before = visited.approved
        if (
            not self.windows
            or visited.entry is None
            or (before is not None and before.standing == "outlived")
        ):
            return None
        found = self._window(connection, host, visited)
        if found is None:
            if before is not None:
                approvals.unmark(connection, visited.session)
            visited.approved = None
            return "lapsed" if before else None
        standing: approvals.Standing = "outlived" if (visited.last_seen or 0) > found.ends else "approved"
        visited.approved = Approved(found, standing)
        if before is not None and (before.approval.id, before.standing) == (found.id, standing):
            return None
        approvals.mark(connection, visited.session, found.id, standing, now)
        return standing

    def outlive(self, connection: Connection, visited: Visited, now: int) -> None:
        """The window has ended, and the visit has not."""
        if visited.approved is not None:
            visited.approved = Approved(visited.approved.approval, "outlived")
            approvals.mark(connection, visited.session, visited.approved.approval.id, "outlived", now)

    def covers(self, connection: Connection, visited: Visited) -> bool:
        """Whether an approval covers all that the visit's alert has."""
        made = (
            visited.of_event(each.event) or completion.completed(connection, each.event)
            for each in visited.findings
        )
        return all(event is not None and event["kind"] not in UNCOVERED for event in made)

    def divide(
        self, connection: Connection, host: Host, visited: Visited, found: Sequence[Raised], now: int
    ) -> tuple[list[Raised], list[Withheld]]:
        """Which findings are alerted, and which are withheld. Of an approved visit what was alerted is in neither."""
        told = {(each.detection, each.event) for each in visited.findings}
        kept = {(each.finding.detection, each.finding.event): each for each in visited.withheld}
        approved = visited.approved is not None and visited.approved.standing == "approved"
        record = visited.record["status"] if visited.record else None
        who = principal(visited.entry, visited.principal, visited.api)
        about = About(host.name, visited.entry, record, who)
        alerted, withheld = [], []
        for each in found:
            key = (each.detection, each.event)
            event = visited.of_event(each.event) or completion.completed(connection, each.event)
            if approved and visited.approved and event is not None and event["kind"] not in UNCOVERED:
                if key not in told:
                    withheld.append(Withheld(each, "approval", str(visited.approved.approval.id)))
            elif key in told:
                alerted.append(each)
            elif (name := self._excepted(each, event, about, kept.get(key), now)) is not None:
                withheld.append(Withheld(each, "exception", name))
            else:
                alerted.append(each)
        return alerted, withheld

    def alone(
        self, host: Host, event: Event, found: Sequence[Raised], now: int
    ) -> tuple[list[Raised], list[Withheld]]:
        """The same for an event of no visit."""
        change = event.get("change")
        who = principal(None, change["principal"]) if change else asker(event.get("request"))
        about = About(host.name, None, None, who)
        names = [self._excepted(each, event, about, None, now) for each in found]
        alerted = [each for each, name in zip(found, names, strict=True) if name is None]
        withheld = [
            Withheld(each, "exception", name)
            for each, name in zip(found, names, strict=True)
            if name is not None
        ]
        return alerted, withheld

    def _excepted(
        self, finding: Raised, event: Event | None, about: About, kept: Withheld | None, now: int
    ) -> str | None:
        """The name of the exception that applies to a finding; None without one."""
        if kept is not None and kept.because == "exception" and kept.finding.severity >= finding.severity:
            return kept.name
        asked = [each for each in self._exceptions if each.detection in {None, finding.detection}]
        if not asked or event is None:
            return None
        values = subject(event, about, (finding.detection, finding.severity.label, finding.reason))
        return next(
            (each.name for each in asked if now < each.expires and each.expression.holds(values)), None
        )

    def _window(self, connection: Connection, host: Host, visited: Visited) -> windows.Approval | None:
        entry = visited.entry
        if entry is None or entry["kind"] in UNCOVERED or entry["means"] == "probe":
            return None
        who = principal(entry, visited.principal, visited.api)
        # One that was revoked meanwhile was open when the visit began: of several the one that ends last counts.
        open_ = sorted(approvals.at(connection, entry["time"]), key=lambda each: -each.ends)
        return next((each for each in open_ if windows.refusal(each, entry, host.name, who) is None), None)


def _visitor(host: Host, visited: Visited) -> dict[str, Any] | None:
    """How the visit is remembered for later ones; None of a health check."""
    entry = visited.entry
    if entry is None or entry["means"] == "probe":
        return None
    return visitors.row(host.id, entry, principal(entry, visited.principal, visited.api))


def _active(connection: Connection) -> list[Excepted]:
    """The exceptions that are not removed. One whose expression is not understood any more applies to nothing."""
    made = []
    for row in exceptions.list_(connection, 0, ("active",)):
        try:
            parsed = expression.parse(row["expression"])
        except expression.ExpressionError as error:
            log.error("exception %s is left out: %s", row["name"], error.reason)  # noqa: TRY400
            continue
        made.append(Excepted(row["name"], row["detection"], row["expires_ns"], parsed))
    return made
