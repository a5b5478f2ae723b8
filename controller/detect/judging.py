# SPDX-License-Identifier: Apache-2.0
"""From the events of a batch to what is alerted: each is judged with its visit, and again when more is known of it.

The worker owns the transaction; here is what happens to one visit or container in it. `begin`, then the events,
then `finish`, which deals with what the batch and the clock have settled: records, windows that ended, visits that
waited long enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from controller.detect import alerts, alone, asking, joining, own
from controller.detect.held import Held
from controller.detect.joining import Joining
from controller.detect.policy import Host, Policy
from controller.detect.rule import ALONE, Around, Visit
from controller.detect.visits import OPENING, Visits, stored_findings
from controller.store import approvals, completion, counters, raising, records, unseen, withheld
from controller.store.schema import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Engine, Raised
    from controller.detect.rule import Event
    from controller.detect.visits import Visited, Withheld
    from controller.store.raising import NewAlert

PRUNE_EACH: Final = 256
"""Batches between two looks at what is kept of records that were decided."""
WITHDRAWN: Final = "the visit was a health check that its container declares, which the sensor learned late"


class Judging:
    """What one worker knows between two batches, and does in one."""

    def __init__(self, engine: Engine, policy: Policy, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._titles = {each.id: each.title for each in engine.detections}
        self._visits = Visits()
        self._held: Held | None = None
        self._joining = Joining()
        self._batches = 0
        self._own = own.Own()
        self._names: Mapping[str, str] = {}
        self._waiting: dict[str, Host] = {}
        """Visits of the batch under way that an approval may be about, once it is known who came in."""
        self._touched: dict[str, tuple[Visited, Host]] = {}
        """Visits of the batch under way: their alerts are refreshed once, at its end."""

    def due(self) -> bool:
        """Whether there is something to do without new events."""
        return self._held is None or bool(self._held.due(self._clock()))

    def begin(self, connection: Connection, position: int, names: Mapping[str, str]) -> None:
        """A transaction begins after the event `position`; `names` are those of the hosts by their ids."""
        if self._held is None:
            self._held = Held.load(connection, position, self._clock())
        if self._policy.refresh(connection):
            self._visits.forget()  # they hold windows as they were
        self._names = names
        self._touched.clear()
        self._waiting.clear()

    def host(self, host: str) -> Host:
        """The host of this id."""
        return Host(host, self._names.get(host, host))

    def finish(self, connection: Connection, last: int) -> None:
        """All events up to `last` were dealt with: what they settle, and what the clock does."""
        changed = self._joining.changed(connection, self._clock())
        self._cover(connection, changed)
        for session in changed:
            self._told(connection, session, last)
            self._waiting.pop(session, None)
        for session in self._waiting:
            self._told(connection, session, last)
        for session in self._held.due(self._clock()) if self._held else ():
            self._tired(connection, session, last)
        for session in approvals.outlived(connection, self._clock()) if self._policy.windows else ():
            self._outlived(connection, session, last)
        if self._held is not None:
            self._held.keep(connection)
        for visited, host in self._touched.values():
            if visited.findings:
                raising.refresh(connection, alerts.describe(visited, *host, self._titles))

    def forget(self) -> None:
        """The transaction failed: nothing of what was held may be right."""
        self._visits.forget()
        self._policy.forget()
        self._own.forget()
        self._held = None
        self._joining.forget()

    def drop(self, session: str) -> None:
        """One event of this visit could not be dealt with."""
        self._visits.forget(session)
        self._touched.pop(session, None)

    def join(self, connection: Connection, host: Host, event: Event) -> None:
        """Shows an event to the join of visits and records."""
        self._joining.take(connection, host.id, event, self._clock())

    def see(self, connection: Connection, host: Host, seq: int, event: Event) -> None:
        """The next event of a visit."""
        visited = self._visits.before(connection, event["session"], seq)
        visited.add(event)
        if event["kind"] in OPENING:
            visited.know(connection)
        if self._holds(visited, seq) and event["kind"] != "escape":
            return  # however somebody came in, out to the host is no health check
        if event["kind"] != "escape" and self._policy.waits(connection, host, visited):
            self._waiting[visited.session] = host
            return
        opens = visited.entry is not None and visited.entry["id"] == event["id"]
        if opens or visited.approved is not None:
            # Once a window is outlived, what was found before counts too.
            changed = self._policy.stand(connection, host, visited, self._clock())
            if changed == "outlived":
                self._judge_again(connection, host, visited)
                return
        if opens or visited.around.host == "":
            self._policy.surround(connection, host, visited)
        self._raise(connection, host, visited, self._engine.evaluate(visited.now(), event))

    def see_alone(self, connection: Connection, host: Host, event: Event) -> None:
        """An event of no visit: what is found in it is the alert of its container, or of what was asked for."""
        if event["kind"] in {"connection", "contact"} and event["container"] is None:
            return  # of the host itself
        if event["kind"] == "activity":
            self._see_own(connection, host, event)
            return
        asked = event["kind"] == "record"
        if asked and event.get("request") is None:
            told = alone.as_it_comes(connection, host.id, event)
            if told is not None:
                self._recorded(connection, host, event, told)
            return
        if asked and not asking.speaks(connection, event):
            return
        event = asking.known(connection, host.id, event) if asked else event
        subject = asking.subject(host.id, event) if asked else alerts.subject(host.id, event)
        earlier = asking.refused_before(connection, event) if asked else ()
        around = Around(host.id, self._policy.knobs)
        found = self._engine.evaluate(Visit(subject, None, earlier=earlier, around=around), event)
        if found:
            describe = asking.describe if asked else alerts.describe_alone
            self._raise_alone(connection, host, event, (subject, describe), found)

    def _see_own(self, connection: Connection, host: Host, event: Event) -> None:
        """What a container does of itself: judged by what is normal for it, and then learned."""
        now, event = self._clock(), self._own.known(connection, host.id, event)
        normal, subject = self._own.normal(connection, host.id, event, now), alerts.subject(host.id, event)
        around = Around(host.id, self._policy.knobs)
        found = self._engine.evaluate(Visit(subject, None, around=around, normal=normal), event)
        self._own.learn(connection, normal, event, now)
        if found:
            self._raise_alone(connection, host, event, (subject, own.describe), found)

    def _raise_alone(
        self,
        connection: Connection,
        host: Host,
        event: Event,
        what: tuple[str, Callable[..., NewAlert]],
        found: Sequence[Raised],
    ) -> None:
        """`what`: the subject of the alert, and what describes it."""
        (subject, describe), now = what, self._clock()
        known = stored_findings(connection, subject)
        new, refused = alerts.admit(None, known, found)
        if refused:
            counters.add(connection, "detect.findings_left_out", refused)
        alerted, kept = self._policy.alone(host, event, new, now)
        self._keep_back(connection, subject, host, kept)
        if not alerted:
            return
        since = raising.first_seen(connection, subject)
        both = alerts.judged_again(known, alerted)
        alert = describe(since, *host, event, (both, self._titles))
        raising.raise_(connection, alert, [alerts.to_keep(each) for each in alerted], now)

    def _recorded(self, connection: Connection, host: Host, event: Event, known: Mapping[str, Any]) -> None:
        """A runtime's record by which no visit stands."""
        event, now = alone.named(connection, host.id, event), self._clock()
        around = Around(host.id, self._policy.knobs)
        about = alone.subject(host.id, event["container_id"])
        for found in self._engine.evaluate(Visit(about, None, record=known, around=around), event):
            subject = alone.subject(host.id, event["container_id"], found.detection)
            stored = stored_findings(connection, subject)
            new, refused = alerts.admit(None, stored, [found])
            if refused:
                counters.add(connection, "detect.findings_left_out", refused)
            alerted, kept = self._policy.alone(host, event, new, now)
            self._keep_back(connection, subject, host, kept)
            if alerted:
                both = alerts.judged_again(stored, alerted)
                since = raising.first_seen(connection, subject)
                alert = alone.describe(since, host, event, known, (both, self._titles))
                raising.raise_(connection, alert, [alerts.to_keep(each) for each in alerted], now)

    def _cover(self, connection: Connection, changed: Iterable[str]) -> None:
        """Records whose entry did not come in time, and those whose entry came after all with what `changed`."""
        now = self._clock()
        self._batches += 1
        for host in self._names if self._batches % PRUNE_EACH == 0 else ():
            counters.add(connection, "coverage.forgotten", unseen.prune(connection, host))
        for row in unseen.decide(connection, now):
            counters.add(connection, f"coverage.{row['cause']}")
            event = records.event(connection, row["host"], row["record"])
            if event is not None:
                self._recorded(connection, self.host(row["host"]), event, alone.without_entry(row))
        for row in unseen.found(connection, changed, now):
            subject = alone.subject(row["host"], row["container"], alone.WITHOUT_ENTRY)
            event_id, reason = row["record"], row["reason"]
            if raising.take_back(connection, subject, alone.WITHOUT_ENTRY, reason, now, event=event_id):
                counters.add(connection, "detect.findings_taken_back")

    def learn(self, connection: Connection, host: Host, seq: int, update: Event) -> None:
        """More is known of an earlier event: the whole visit is judged again, and its alert says it anew."""
        query = select(events.c.session).where(
            events.c.id == update["target"],
            events.c.host == host.id,
            events.c.seq < seq,  # a later target will be read with this update merged in
        )
        session = connection.execute(query).scalar_one_or_none()
        event = completion.completed(connection, update["target"])
        if event is not None and session is None and event["kind"] in ALONE:
            self.see_alone(connection, host, event)
        if session is None or event is None:
            return
        visited = self._visits.before(connection, session, seq)
        before = alerts.describe(visited, *host, self._titles) if visited.findings else None
        probe = alerts.void(visited)
        visited.complete(event)
        self.join(connection, host, event)
        visited.know(connection)
        if self._holds(visited, seq):
            return
        after = self._judge_again(connection, host, visited)
        if before and after and (before.title, before.sentence) != (after.title, after.sentence):
            detail = {"event": event["id"], "learned": sorted(update["set"])}
            raising.note(connection, raising.alert_id(session), "entry_completed", detail, self._clock())
        if after and not probe and alerts.void(visited):
            raising.withdraw(connection, raising.alert_id(session), WITHDRAWN, self._clock())
            counters.add(connection, "detect.alerts_withdrawn")

    def _holds(self, visited: Visited, seq: int) -> bool:
        """Whether the visit is to be judged only later."""
        return self._held is not None and self._held.holds(visited.session, visited.entry, seq, self._clock())

    def _tired(self, connection: Connection, session: str, last: int) -> None:
        """What was to come has not: the visit is judged as it stands."""
        if self._held is not None:
            self._held.release(session)
        visited = self._visits.before(connection, session, last + 1)
        if visited.entry is not None:
            counters.add(connection, "detect.means_never_settled")
            self._judge_again(connection, self._host_of(connection, visited.entry), visited)

    def _told(self, connection: Connection, session: str, last: int) -> None:
        """Something else is known of a visit's record or principal: it is judged and said anew."""
        visited = self._visits.before(connection, session, last + 1)
        visited.know(connection)
        if visited.entry is None or self._holds(visited, last):
            return
        host = self._host_of(connection, visited.entry)
        if self._policy.waits(connection, host, visited, decided=True):
            return
        for detection, reason in joining.void(visited):
            self._take_back(connection, host, visited, detection, reason)
        self._judge_again(connection, host, visited)

    def _outlived(self, connection: Connection, session: str, last: int) -> None:
        """A visit goes on though its window has ended: it is none that was approved."""
        visited = self._visits.before(connection, session, last + 1)
        if visited.entry is not None:
            self._policy.outlive(connection, visited, self._clock())
            self._judge_again(connection, self._host_of(connection, visited.entry), visited)

    def _host_of(self, connection: Connection, event: Event) -> Host:
        query = select(events.c.host).where(events.c.id == event["id"])
        return self.host(connection.execute(query).scalar_one())

    def _judge_again(self, connection: Connection, host: Host, visited: Visited) -> NewAlert | None:
        """All of a visit, with what is known of it and allowed to it by now."""
        self._policy.stand(connection, host, visited, self._clock())
        self._policy.surround(connection, host, visited)
        found = [each for visit, judged in visited.judged() for each in self._engine.evaluate(visit, judged)]
        if visited.approved is not None and visited.approved.standing == "approved" and visited.findings:
            self._approve(connection, visited)
        return self._raise(connection, host, visited, found)

    def _approve(self, connection: Connection, visited: Visited) -> None:
        """It was learned late that the visit is within a window: what it was alerted of is closed."""
        approved = visited.approved
        if approved is None or not self._policy.covers(connection, visited):
            return
        reason = f"approved: {approvals.ref(*approved)['sentence']}"
        alert = raising.alert_id(visited.session)
        if raising.withdraw(connection, alert, reason, self._clock(), closed="benign_true_positive"):
            counters.add(connection, "detect.alerts_approved")

    def _take_back(
        self, connection: Connection, host: Host, visited: Visited, detection: str, reason: str
    ) -> None:
        """There is a record after all: what was found for want of one does not stand any more."""
        if visited.findings:
            raising.refresh(connection, alerts.describe(visited, *host, self._titles))
        if raising.take_back(connection, visited.session, detection, reason, self._clock()):
            counters.add(connection, "detect.findings_taken_back")
        visited.findings = tuple(each for each in visited.findings if each.detection != detection)

    def _raise(
        self, connection: Connection, host: Host, visited: Visited, found: Sequence[Raised]
    ) -> NewAlert | None:
        """The visit's alert as it stands now, in the store at the latest with the end of the batch."""
        self._touched[visited.session] = (visited, host)
        known = (*visited.findings, *(each.finding for each in visited.withheld))
        admitted, refused = alerts.admit(visited.entry, known, found)
        if refused:
            counters.add(connection, "detect.findings_left_out", refused)
        new, kept = self._policy.divide(connection, host, visited, admitted, self._clock())
        self._keep_back(connection, visited.session, host, kept)
        visited.withheld = _still_withheld(visited.withheld, kept, new)
        visited.findings = alerts.judged_again(visited.findings, new)
        if not visited.findings:
            return None
        alert = alerts.describe(visited, *host, self._titles)
        if new:
            withheld.release(connection, visited.session, [(each.detection, each.event) for each in new])
            done = raising.raise_(connection, alert, [alerts.to_keep(each) for each in new], self._clock())
            self._say_outlived(connection, visited, done)
        return alert

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
