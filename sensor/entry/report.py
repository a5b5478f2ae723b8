# SPDX-License-Identifier: Apache-2.0
"""Turns what the tracker found into events of the wire, with all that is known at that moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from sensor.clock import wall_clock
from sensor.enrich.known import Known
from sensor.enrich.processes import abridged
from sensor.entry.check import Candidate
from sensor.entry.crossing import (
    Attempted,
    Commanded,
    Crossing,
    Ended,
    Entered,
    Escaped,
    Exited,
    Started,
    Stopped,
)
from sensor.entry.describe import UNKNOWN_CONTAINER, chain_of, client_of, ending, first, process_of, unseen
from sensor.entry.lineage import Lineage, Redact, conmon_exec_id, entering, exec_id, is_podman_exec, login_of
from sensor.entry.means import means, reach_of, supervisor_index, verdict
from sensor.entry.places import Inside
from sensor.entry.rhythm import Rhythm
from sensor.entry.served import Served
from sensor.entry.users import Users
from sensor.probe.contacts import Contact as Seen
from sensor.probe.layout import Exec, Flag, Reached, Step
from sensor.who.asking import Asked, Asking
from sensor.wire import (
    Ancestor,
    Attempt,
    Caller,
    Client,
    Command,
    Contact,
    Container,
    Entry,
    Escape,
    Exit,
    Means,
    Missing,
    SessionEnd,
    Start,
    Stop,
)


class ByWhom(TypedDict):
    """The fields of an event that say whom it may belong to."""

    caller: Caller | None
    clients: list[Client]
    clients_unseen: str | None


class Reporter:
    """Builds events. Reads /proc, for what only stands there, and never waits for anything else."""

    def __init__(
        self,
        next_id: Callable[[], str],
        known: Callable[[str], Known | None],
        lineage: Lineage,
        redact: Redact,
        users: Users,
        wall: Callable[[int], int] = wall_clock,
        asking: Asking | None = None,
    ) -> None:
        """Without `asking` it is not told whom a visit may belong to."""
        self._asking = asking
        self._asked: dict[int, Asked] = {}
        self._wall = wall
        self.next_id = next_id
        self._known = known
        self._lineage = lineage
        self._redact = redact
        self._users = users
        self._entering: dict[int, Ancestor] = {}
        self._sessions: dict[int, str] = {}
        self._undecided: dict[str, Candidate] = {}
        self._rhythm = Rhythm()

    def crossed(self, crossing: Crossing) -> None:
        """Look at the processes outside now; a runtime is gone before the entry is decided."""
        event = crossing.setns
        if event is None:
            return
        self._entering[crossing.cookie] = entering(event, self._lineage)
        if self._asking:
            self._asked[crossing.cookie] = self._asking.of_setns(event)
        for step in event.ancestry:
            self._lineage.look(step.pid, step.start, step.comm)

    def arrived(self, event: Reached) -> None:
        """Look at who moved a process into a container's cgroup, or reached into one of it."""
        self._lineage.reached(event)
        self._entering[event.head.cookie] = self._lineage.step(event.by)
        if self._asking:
            self._asked[event.head.cookie] = self._asking.of_reached(event)
        for step in event.ancestry:
            self._lineage.look(step.pid, step.start, step.comm)

    def forget(self, cookie: int) -> None:
        """The crossing is over."""
        self._entering.pop(cookie, None)
        self._sessions.pop(cookie, None)
        self._asked.pop(cookie, None)

    def begun(self, cookie: int) -> tuple[str | None, Ancestor | None]:
        """The session's id and who crossed, as far as they are known of a crossing."""
        return self._sessions.get(cookie), self._entering.get(cookie)

    def recall(self, cookie: int, session: str | None, who: Ancestor | None) -> None:
        """Go on with a crossing of the sensor before: the inverse of `begun`."""
        if session is not None:
            self._sessions[cookie] = session
        if who is not None:
            self._entering[cookie] = who

    def entered(self, outcome: Entered) -> Entry:
        """The entry of a session, whose id becomes the session's."""
        crossing, event = outcome.crossing, outcome.event
        owner = crossing.owner
        container, missing = self._container(owner.container or outcome.cgroup_container)
        keys = verdict(owner.container, outcome.cgroup_container, shared=owner.shared)
        candidate = Candidate.of(keys, crossing, event)
        known = self._known(container["id"]) if container["id"] and outcome.way is None else None
        # Asked first: what is learned between the two must not be missed by both.
        undecided = known is not None and candidate.open(known)
        if known is None:
            way = means(keys, container["runtime"], candidate.chain)
        else:
            way = candidate.way(known) if undecided else candidate.means(known, self._rhythm)
        who = self._entering.get(crossing.cookie) or first(self._lineage.ancestors(event.ancestry))
        process, lacking = process_of(event, self._redact, self._users, container["init_pid"] or 0)
        begun = crossing.setns or crossing.reached
        seen = begun is not None and begun.argv is not None
        if not seen and who["pid"] == process["pid"] and who["argv"] == abridged(process["argv"] or []):
            # It executed in place before it was looked at: this is the command, not what called for it.
            who = Ancestor(**{**who, "exe": None, "argv": None})
        ancestry = self._outside(crossing, chain_of(crossing, event))
        if way == "ns-join" and known and known.cgroup is None and is_podman_exec(ancestry, known.id):
            way = "podman-exec"
        made = exec_id(who["argv"]) or conmon_exec_id(ancestry)
        entry_id = self._sessions[crossing.cookie] = self.next_id()
        if undecided:
            lacking["means"] = self._defer(entry_id, candidate, missing)
        return Entry(
            id=entry_id,
            time=self._wall(event.head.time),
            mono=event.head.time,
            kind="entry",
            session=entry_id,
            means=outcome.way or way,
            namespaces=outcome.namespaces,
            verdict=keys,
            ns_container=owner.container,
            cgroup_container=outcome.cgroup_container,
            container=container,
            process=process,
            entered_by=who,
            ancestry=ancestry,
            login=login_of(event.task.login_uid, event.task.login_session, self._users.host_name),
            exec_id=made,
            witnessed=outcome.witnessed,
            missing={**missing, **lacking, **unseen("entered_by", who)},
            **self._by_whom(crossing.cookie, event, made),
            **reach_of(crossing),
        )

    def escaped(self, outcome: Escaped) -> Escape | None:
        """An escape, which opens a session if it came out of none; None when nobody saw who began it."""
        crossing, event = outcome.crossing, outcome.event
        executed = event if isinstance(event, Exec) else None
        task = executed.task if executed else crossing.setns.task if crossing.setns else None
        who = self._entering.get(crossing.cookie)
        if who is None and executed:
            who = first(self._lineage.ancestors(executed.ancestry))
        if who is None or task is None:
            return None
        container, missing = self._container(outcome.left)
        process, lacking = process_of(executed, self._redact, self._users) if executed else (None, {})
        chain = executed.ancestry if executed else crossing.setns.ancestry if crossing.setns else ()
        escape_id = self.next_id()
        session = self._sessions.get(outcome.session.cookie) if outcome.session else None
        if session is None and executed:
            self._sessions[crossing.cookie] = escape_id
        return Escape(
            id=escape_id,
            time=self._wall(event.head.time),
            mono=event.head.time,
            kind="escape",
            session=session or escape_id,
            means="ns-join" if outcome.namespaces else "proc-root",
            namespaces=outcome.namespaces,
            container=container,
            process=process,
            entered_by=who,
            ancestry=self._outside(crossing, chain),
            login=login_of(task.login_uid, task.login_session, self._users.host_name),
            witnessed=Flag.UNWITNESSED not in event.head.flags,
            missing={**missing, **lacking, **unseen("entered_by", who)},
            caller=self._by_whom(crossing.cookie, executed)["caller"],
        )

    def decided(self, entry: str, known: Known) -> Means | None:
        """The means of an entry that was pending, now that nothing more will be learned of its container.

        None for an entry whose means was never open; asked once for each.
        """
        candidate = self._undecided.pop(entry, None)
        return None if candidate is None else candidate.means(known, self._rhythm)

    def is_open(self, entry: str) -> bool:
        """Whether the means of an entry is still to be decided."""
        return entry in self._undecided

    def undecidable(self, entry: str) -> None:
        """Nothing will be learned for this entry: what it was called stands."""
        self._undecided.pop(entry, None)

    def commanded(self, outcome: Commanded) -> Command:
        """A command of a session."""
        process, lacking = process_of(outcome.event, self._redact, self._users)
        return Command(
            id=self.next_id(),
            time=self._wall(outcome.event.head.time),
            mono=outcome.event.head.time,
            kind="command",
            session=self._sessions[outcome.crossing.cookie],
            process=process,
            parent=outcome.parent,
            missing=lacking,
        )

    def exited(self, outcome: Exited) -> Exit:
        """The end of a process of a session."""
        code, signal = ending(outcome.event.status)
        return Exit(
            id=self.next_id(),
            time=self._wall(outcome.event.head.time),
            mono=outcome.event.head.time,
            kind="exit",
            session=self._sessions[outcome.crossing.cookie],
            pid=outcome.event.head.pid,
            start=outcome.start,
            code=code,
            signal=signal,
        )

    def ended(self, outcome: Ended) -> SessionEnd:
        """The end of a session."""
        crossing = outcome.crossing
        code, signal = (None, None) if crossing.status is None else ending(crossing.status)
        began = crossing.entered.head.time if crossing.entered else crossing.began
        return SessionEnd(
            id=self.next_id(),
            time=self._wall(outcome.time),
            mono=outcome.time,
            kind="session_end",
            session=self._sessions[crossing.cookie],
            code=code,
            signal=signal,
            duration=outcome.time - began,
            commands=crossing.commands,
        )

    def attempted(self, outcome: Attempted) -> Attempt | None:
        """A join without a command; None when nobody saw who began it."""
        crossing = outcome.crossing
        who = self._entering.get(crossing.cookie)
        begun = crossing.setns or crossing.reached
        if who is None or begun is None:
            return None
        container, missing = self._container(crossing.owner.container)
        lacking: dict[str, Missing] = {}
        # No cgroup to go by, for it never executed: a runtime's supervisor above it is the next best mark.
        runtime_made = supervisor_index(begun.ancestry) is not None
        keys = verdict(
            crossing.owner.container, crossing.owner.container if runtime_made else None, shared=False
        )
        chain = (crossing.reached.by, *begun.ancestry) if crossing.reached else begun.ancestry
        attempt_id, made = self.next_id(), exec_id(who["argv"])
        candidate = Candidate.attempt(keys, crossing, outcome.event)
        known = self._known(container["id"]) if container["id"] else None
        if crossing.reached:
            way: Means = "cgroup-join"
        elif known is None:
            way = means(keys, container["runtime"], begun.ancestry)
        elif candidate.open(known):
            way = candidate.way(known)
            lacking["means"] = self._defer(attempt_id, candidate, missing)
        else:
            way = candidate.means(known, self._rhythm)
        return Attempt(
            id=attempt_id,
            time=self._wall(outcome.event.head.time),
            mono=outcome.event.head.time,
            kind="attempt",
            session=attempt_id,
            means=way,
            namespaces=outcome.namespaces,
            container=container,
            entered_by=who,
            ancestry=self._lineage.ancestors(chain),
            login=login_of(begun.task.login_uid, begun.task.login_session, self._users.host_name),
            exec_id=made,
            missing={**missing, **lacking, **unseen("entered_by", who)},
            **self._by_whom(crossing.cookie, None, made),
        )

    def contacted(self, seen: Seen, served: Served, session: str | None, inside: Inside) -> Contact:
        """Somebody connected to a daemon's socket, in a `session` or in none; `inside` finds containers."""
        task = seen.task
        process, missing = client_of(seen, self._redact, self._users)
        within = inside(task.ns.mnt, task.cgroup, task.cgroup_parent)
        known = None if within is None else self._known(within)
        container, lacking = (None, {}) if known is None else known.description
        daemon = self._lineage.step(served.daemon)
        return Contact(
            id=self.next_id(),
            time=self._wall(seen.head.time),
            mono=seen.head.time,
            kind="contact",
            session=session,
            runtime=served.runtime,
            place=served.path,
            daemon=daemon,
            daemon_container=inside(served.daemon.mnt, "", ""),
            container=container,
            process=process,
            ancestry=self._lineage.ancestors(seen.ancestry),
            login=login_of(task.login_uid, task.login_session, self._users.host_name),
            count=seen.connects,
            missing={**missing, **lacking, **unseen("daemon", daemon)},
        )

    def _defer(self, event: str, candidate: Candidate, missing: dict[str, Missing]) -> Missing:
        """Whether it is a check is told later, if anything is still to come of its container."""
        if "pending" not in missing.values():
            return "unknown"
        self._undecided[event] = candidate
        return "pending"

    def started(self, outcome: Started, known: Known) -> Start:
        """The start of a container."""
        container, missing = known.description
        process, lacking = process_of(outcome.event, self._redact, self._users)
        return Start(
            id=self.next_id(),
            time=self._wall(outcome.event.head.time),
            mono=outcome.event.head.time,
            kind="start",
            container=container,
            process=process,
            missing={**missing, **lacking},
            witnessed=Flag.UNWITNESSED not in outcome.event.head.flags,
        )

    def stopped(self, outcome: Stopped, known: Known) -> Stop:
        """The end of a container's first process."""
        code, signal = ending(outcome.event.status)
        return Stop(
            id=self.next_id(),
            time=self._wall(outcome.event.head.time),
            mono=outcome.event.head.time,
            kind="stop",
            container=known.container,
            code=code,
            signal=signal,
        )

    def _by_whom(self, cookie: int, event: Exec | None, made: str | None = None) -> ByWhom:
        """Whom it may belong to, as was seen when the crossing began, or is seen now; `made`: its exec's id."""
        asked = self._asked.pop(cookie, None)
        if asked is None:
            asked = self._asking.of_exec(event) if self._asking and event else Asked()
        if self._asking:
            asked = self._asking.by_id(asked, made)
        return ByWhom(caller=asked.caller, clients=asked.clients, clients_unseen=asked.unseen)

    def _outside(self, crossing: Crossing, chain: tuple[Step, ...]) -> list[Ancestor]:
        """The ancestry, with the process that crossed on the side that it came from."""
        ancestors = self._lineage.ancestors(chain)
        if crossing.setns:
            for ancestor in ancestors:
                if ancestor["pid"] == crossing.setns.head.pid:
                    ancestor["side"] = self._lineage.side(crossing.setns.home.mnt)
        return ancestors

    def _container(self, container: str | None) -> tuple[Container, dict[str, Missing]]:
        known = None if container is None else self._known(container)
        if known is None:
            return UNKNOWN_CONTAINER, {"container.id": "unknown"}
        return known.description
