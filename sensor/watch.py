# SPDX-License-Identifier: Apache-2.0
"""One host's door, watched: kernel events in, wire events out, the kernel told what it need not follow.

Runs on the probe's thread. What can wait for somebody, a daemon that describes a container, does (descriptions).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sensor.descriptions import Descriptions, Metadata
from sensor.enrich import procfs
from sensor.enrich.containers import Containers
from sensor.enrich.known import Known
from sensor.entry import visitors
from sensor.entry.arrivals import Arrivals, Stand
from sensor.entry.crossing import (
    Arrived,
    Attempted,
    Commanded,
    Crossed,
    Ended,
    Entered,
    Escaped,
    Exited,
    Outcome,
    Released,
    Started,
    Stopped,
)
from sensor.entry.doors import Doors
from sensor.entry.left_out import LeftOut
from sensor.entry.report import Reporter
from sensor.entry.track import Tracker
from sensor.entry.turned_away import TurnedAway
from sensor.landmarks import Landmarks
from sensor.probe import Probe
from sensor.probe.layout import Exec, Flag, How, KernelEvent, NsSet, Reached, mark
from sensor.recall import Recall, Recalled
from sensor.wire import Connection, Contact, Event, Missing

_NOT_FOLLOWED: Final = frozenset({"start", "plumbing", "foreign", "evicted", "orphan", "inside"})
"""Why a crossing is given up, so that the kernel need not follow it either."""

LOOK_NS: Final = 30_000_000_000
"""How often /proc is looked through for visitors that no hook saw. Nanoseconds."""


def _since_boot() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _alive(pid: int, start: int) -> bool:
    now = procfs.stat_start(pid)
    return now is not None and procfs.same_start(now, start)


class Watch:
    """Feeds the tracker and reports what it finds."""

    def __init__(
        self,
        containers: Containers,
        metadata: Metadata,
        reporter: Reporter,
        doors: Doors,
        emit: Callable[[Event], None],
        count: Callable[[str], None],
        learned: Callable[[Known], None] | None = None,
    ) -> None:
        self.stand: Stand = visitors.stands
        self.reach: Callable[[Reached], Exec | None] = visitors.injected
        self.clock: Callable[[], int] = _since_boot
        """What a replay, whose processes and time are others, replaces."""
        self._containers = containers
        containers.moved = self._moved
        self._reporter = reporter
        self._doors = doors
        self._visitors: set[tuple[int, int]] = set()
        self._next_look = 0
        self._turned_away = TurnedAway()
        self._tracker = Tracker(doors)
        self._arrivals = Arrivals(self._tracker, doors)
        self._landmarks = Landmarks()
        self._emit = emit
        self._count = count
        self.descriptions = Descriptions(containers, metadata, reporter, emit, count, learned)
        # One that waits to be started. The kernel is not told: its first program is its start.
        containers.found = self.descriptions.ask
        self.left_out = LeftOut(reporter.next_id, emit)
        self.probe: Probe | None = None
        """Set once the programs are loaded: events may come before `open_probe` has returned."""

    def recall(self, boot: str) -> Recall:
        """What keeps the state of this watch, and takes over that of the one before."""
        return Recall(boot, self._tracker, self._reporter, self._containers, self.descriptions.waiting)

    def go_on(self, recalled: Recalled) -> None:
        """What is still to be learned of the containers that were taken over; their settings may have changed."""
        for known in recalled.containers:
            self.descriptions.learn(known)

    @property
    def open_sessions(self) -> int:
        """Sessions with a live process."""
        return self._tracker.open_sessions

    def sweep(self, probe: Probe) -> int:
        """Learn the containers that run already, and tell the kernel, so that no exec in them is a start."""
        self.probe = probe
        probe.know_init(self._doors.host_mnt, 1)
        for known in self._containers.all():  # taken over: these programs may be others
            if _alive(known.init_pid, known.init_start):
                self._landmarks.know(probe, known)
        found = self._learn(probe, self._containers.sweep())
        self._look_for_visitors(probe)
        return found

    def _learn(self, probe: Probe, found: list[Known]) -> int:
        for known in found:
            if known.mnt is not None:
                probe.know_init(known.mnt, known.init_pid)
                if not _alive(known.init_pid, known.init_start):
                    # Gone before the kernel was told: the number may be another's at once, whose start counts.
                    probe.forget_mount(known.mnt)
                self._landmarks.know(probe, known)
            self.descriptions.ask(known)
        return len(found)

    def _look_for_visitors(self, probe: Probe) -> None:
        """Enter those who are inside and were not seen to come in, and have the kernel follow them.

        Marks first: what they execute from here on is told by the kernel. Each is looked at once.
        """
        found = visitors.find(self._init_at)
        seen = {(visitor.pid, visitor.start) for visitor in found}
        for visitor in found:
            if (visitor.pid, visitor.start) in self._visitors or probe.is_marked(visitor.pid):
                continue
            parent = procfs.parent(visitor.pid)
            home = visitors.namespaces(parent) if parent else None
            joined = visitors.namespaces(visitor.pid)
            if joined is None:
                continue
            cookie = visitors.new_cookie()
            home = home or self._doors.host_namespaces
            for pid in (visitor.pid, *visitor.members):
                for tid in visitors.tids(pid):
                    probe.mark(tid, mark(cookie, home, joined))
            for event in visitors.events(visitor, cookie, home):
                self.feed(event)
            self._count("entry.found_inside")
        self._visitors = seen

    def _init_at(self, mnt: int) -> int | None:
        container = self._doors.container_at(mnt)
        known = self._containers.by_id(container) if container else None
        return known.init_pid if known and known.mnt == mnt else None

    def feed(self, event: KernelEvent) -> None:
        """One event of the kernel."""
        if isinstance(event, Reached) and event.how is not How.CGROUP:
            self._injected(event)
            return
        for outcome in self._arrivals.feed(event):
            self._act(outcome)

    def session_of(self, cookie: int) -> str | None:
        """The id of the session that a crossing opened or stands in; None where it is in none."""
        opened = self._tracker.session_of(cookie)
        return None if opened is None else self._reporter.begun(opened)[0]

    def tell(self, event: Contact | Connection) -> None:
        """Send what was seen of a process; its container may be described better later."""
        container = event["container"]
        self._send(event, container["id"] if container else None, event["missing"])

    def reconcile(self) -> None:
        """End sessions whose exits were lost. Looks at /proc, for the processes of open sessions alone."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if self.probe and now >= self._next_look:
            self._next_look = now + LOOK_NS
            self._look_for_visitors(self.probe)
            if self.descriptions.configured:
                self.descriptions.configured.keep({known.id for known in self._containers.all()})
        followed = self.probe.budget.followed if self.probe else set
        for outcome in self._arrivals.reconcile(_alive, now, followed, visitors.staying):
            self._count("entry.reconciled")
            self._act(outcome)

    def _act(self, outcome: Outcome) -> None:  # noqa: C901 - a flat table of the outcomes
        match outcome:
            case Crossed(crossing=crossing):
                self._reporter.crossed(crossing)
            case Arrived(event=event):
                self._arrived(event)
            case Entered():
                entry = self._reporter.entered(outcome)
                self.left_out.entered(outcome.crossing.cookie, entry["container"]["id"])
                self._send(entry, entry["container"]["id"], entry["missing"])
            case Escaped():
                self._escaped(outcome)
            case Commanded():
                self._emit(self._reporter.commanded(outcome))
            case Exited():
                self._emit(self._reporter.exited(outcome))
            case Ended(crossing=crossing):
                self._emit(self._reporter.ended(outcome))
                self._reporter.forget(crossing.cookie)
            case Attempted(crossing=crossing):
                self._attempted(outcome)
                self._reporter.forget(crossing.cookie)
            case Started():
                self._started(outcome)
            case Stopped():
                self._stopped(outcome)
            case Released(cookie=cookie, reason=reason):
                self._count(f"entry.released.{reason.replace('-', '_')}")
                self._reporter.forget(cookie)
                if self.probe and reason in _NOT_FOLLOWED:
                    self.probe.release(cookie)

    def _moved(self, known: Known) -> None:
        if self.probe and known.mnt is not None:
            self.probe.know_init(known.mnt, known.init_pid)
            self._landmarks.know(self.probe, known)

    def _arrived(self, event: Reached) -> None:
        self._reporter.arrived(event)
        if Flag.THREAD not in event.head.flags:
            self._follow(event.head.pid, event.head.cookie, event.task.ns, Flag.MOVED)

    def _injected(self, event: Reached) -> None:
        found = self.reach(event)
        if found and event.target and self.probe and self.probe.is_marked(found.head.pid):
            return  # of a session already
        self._reporter.arrived(event)
        outcomes = self._tracker.inject(event, found)
        # Who took a file put nothing in: what the process does is its own.
        if found and event.how is not How.TAKE and any(isinstance(one, Entered) for one in outcomes):
            self._follow(found.head.pid, event.head.cookie, found.task.ns, Flag.EXECUTED)
        for outcome in outcomes:
            self._act(outcome)

    def _follow(self, pid: int, cookie: int, ns: NsSet, flags: Flag) -> None:
        """Have the kernel follow every thread of a process, also those that it was not told of."""
        for tid in visitors.tids(pid) if self.probe else ():
            if self.probe and not self.probe.is_marked(tid):
                self.probe.mark(tid, mark(cookie, ns, ns, flags))

    def _attempted(self, outcome: Attempted) -> None:
        attempt = self._reporter.attempted(outcome)
        if attempt is None:
            self._count("entry.attempt_unseen")
            return
        self._send(attempt, attempt["container"]["id"], attempt["missing"])

    def _escaped(self, outcome: Escaped) -> None:
        escape = self._reporter.escaped(outcome)
        if escape is None:
            self._count("entry.escape_unseen")
            return
        self._send(escape, escape["container"]["id"], escape["missing"])

    def _started(self, outcome: Started) -> None:
        event = outcome.event
        ns = event.task.ns
        known = self._containers.started(
            event.head.pid,
            event.head.start,
            ns.mnt,
            event.task.cgroup,
            event.task.cgroup_parent,
            ns._asdict(),
        )
        if known is None:
            self._count("entry.mount_of_no_container")
            if self.probe and self._containers.at_mount(ns.mnt) is None:
                self.probe.forget_mount(ns.mnt)
                self._turned_away.take(outcome)
            return
        if self.probe:
            if Flag.UNWITNESSED in event.head.flags:
                self.probe.know_init(ns.mnt, event.head.pid)
            self._landmarks.know(self.probe, known)
        self._tell_start(known, outcome.event, outcome)
        self.descriptions.ask(known)

    def _tell_start(self, known: Known, first: Exec, outcome: Started) -> None:
        start = self._reporter.started(outcome, known)
        self._send(start, known.id, start["missing"])
        if self.descriptions.configured:  # what it learns is told by this thread, later
            self.descriptions.configured.started(known.id, first)

    def _started_late(self, probe: Probe, away: dict[int, Started]) -> None:
        """Containers that began a moment ago, where whose they are shows only now: told as found late."""
        found = self._containers.find_in(away.keys())
        self._learn(probe, found)
        for known in found:
            first, now = away.get(known.mnt or 0), visitors.program(known.init_pid, known.init_start)
            if first and now:
                self._tell_start(known, first.event, Started(now))

    def _stopped(self, outcome: Stopped) -> None:
        known = self._containers.stopped(outcome.event.joined.mnt, outcome.event.head.pid)
        if known is None:
            return
        self._landmarks.forget(self.probe, known)
        self._emit(self._reporter.stopped(outcome, known))
        if self.descriptions.configured:
            self.descriptions.configured.stopped(known.id)

    def _send(self, event: Event, container: str | None, missing: dict[str, Missing]) -> None:
        self._emit(event)
        if container is not None and "pending" in missing.values():
            self.descriptions.wait(event["id"], container, missing)

    def settle(self) -> None:
        """Tell what time has decided, and what was learned of containers since. Never waits."""
        for outcome in self._arrivals.due(self.clock(), self.stand):
            self._act(outcome)
        if self.probe and (away := self._turned_away.due()):
            self._started_late(self.probe, away)
        self.descriptions.tell()
