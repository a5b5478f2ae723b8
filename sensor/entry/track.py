# SPDX-License-Identifier: Apache-2.0
"""Folds kernel events into crossings, and decides at the first exec what each of them is. Pure.

A crossing begins with a task's first setns and is named by the kernel's cookie. All setns calls of the task,
its forks and its exit belong to it. The first program that runs with other namespaces than before decides:

    start      the mount namespace is none that setns joined, it is new, and the cgroup is a container's
    plumbing   only the network namespace was joined, by a runtime or CNI plugin
    entry      the joined namespaces belong to a container that runs
    foreign    they belong to no container (a service's mount namespace, `ip netns exec`)

From an entry on, whatever the lineage executes is a command of its session. It cannot leave the session by a
further crossing: into another container that is one more entry, and anywhere else the session goes on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from sensor.entry import vain
from sensor.entry.crossing import (
    Commanded,
    Crossed,
    Crossing,
    Ended,
    Entered,
    Escaped,
    Exited,
    Outcome,
    Owner,
    Reason,
    Released,
    Started,
    Stopped,
)
from sensor.entry.places import Containers
from sensor.entry.stray import begins, entered_through_files, is_orphan, left_by_files, left_by_join
from sensor.entry.unseen import Followed, Unseen
from sensor.probe.layout import Exec, Exit, Flag, Fork, KernelEvent, Reached, Setns
from sensor.wire import Means

Look = Callable[[Crossing], Exec | None]
"""A process of a crossing that executed nothing, as it is now in the namespaces that it joined; None: nobody."""


def nobody(_crossing: Crossing) -> Exec | None:
    """Where there is no /proc to look at."""
    return None


MAX_CROSSINGS: Final = 8192
"""Crossings that are followed at once; beyond it the oldest is given up, and counted."""

MAX_NESTED: Final = 16
"""Sessions inside one another that one process is counted for; one deeper stands alone."""

THREAD_NS: Final = 5_000_000_000
"""How long a crossing without a live process is kept: a thread's may still fork. Nanoseconds."""


class Tracker:
    """The state machine. One event in, what it means out."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._crossings: OrderedDict[int, Crossing] = OrderedDict()
        self._given_up: OrderedDict[int, None] = OrderedDict()
        self._suspects: set[tuple[int, int]] = set()
        self._touched: set[int] = set()
        self._unseen = Unseen()

    @property
    def open_sessions(self) -> int:
        """Sessions with a live process."""
        return sum(1 for crossing in self._crossings.values() if crossing.entered)

    def changed(self, *, everything: bool = False) -> dict[int, Crossing | None]:
        """Crossings that changed since the last call, by cookie; None where one is over or was given up."""
        touched, self._touched = self._touched, set()
        if everything:
            touched |= self._crossings.keys() | self._given_up.keys()
        return {cookie: self._crossings.get(cookie) for cookie in touched}

    def session_of(self, cookie: int) -> int | None:
        """The crossing that opened the session which this one is or stands in; None where it is in none."""
        crossing = self._crossings.get(cookie)
        session = crossing.session if crossing else None
        return session.cookie if session else None

    def is_given_up(self, cookie: int) -> bool:
        """Whether the events of this crossing mean nothing any more."""
        return cookie in self._given_up

    def recall(self, crossings: Iterable[Crossing], given_up: Iterable[int]) -> None:
        """Go on with the crossings of the sensor before."""
        self._crossings.update(
            (one.cookie, one) for one in sorted(crossings, key=lambda crossing: crossing.began)
        )
        self._given_up.update(dict.fromkeys(sorted(given_up)))

    def _touch(self, cookie: int) -> None:
        crossing = self._crossings.get(cookie)
        if crossing is not None:
            self._touched.update(one.cookie for one in crossing.around())

    def feed(self, event: KernelEvent) -> list[Outcome]:
        """What `event` means."""
        self._touch(event.head.cookie)
        outcomes = self._feed(event)
        self._touch(event.head.cookie)
        return outcomes

    def _feed(self, event: KernelEvent) -> list[Outcome]:
        if event.head.cookie in self._given_up:
            # On its way before the kernel was told. A lineage that is none of ours may still start containers.
            return [Started(event)] if isinstance(event, Exec) and Flag.INIT in event.head.flags else []
        match event:
            case Setns():
                return self._setns(event)
            case Fork():
                return self._fork(event)
            case Exec():
                return self._exec(event)
            case Exit():
                return self._exit(event)
            case Reached():
                return []

    def reconcile(
        self, alive: Callable[[int, int], bool], now: int, followed: Followed = set, look: Look = nobody
    ) -> list[Outcome]:
        """Enters who has come to stay without a program, as `look` finds him.

        Ends what only lost exit events keep open. Call it every few seconds, with the time since boot.

        A process counts as gone once two calls in a row find it so: its exit may wait in the ring meanwhile.
        So does a session that flooded, of which `followed`, the cookies of live tasks, has nothing.
        """
        ended = self._unseen.gone(self._crossings.values(), followed)
        suspects: set[tuple[int, int]] = set()
        outcomes = self._staying(now, look)
        for crossing in list(self._crossings.values()):
            gone = {(pid, start) for pid, start in crossing.live.items() if not alive(pid, start)}
            suspects |= gone
            for pid, _ in gone & self._suspects:
                crossing.died(pid)
                self._touched.add(crossing.cookie)
            if crossing.unseen and crossing.cookie not in ended:
                continue
            patience = vain.STAY_NS if vain.may_stay(crossing) else THREAD_NS
            if not crossing.live and now - crossing.began > patience:
                self._close(crossing)
                if crossing.entered:
                    outcomes.append(Ended(crossing, now))
                elif not crossing.stayed:
                    outcomes.append(Released(crossing.cookie, "no-exec"))
        self._suspects = suspects
        return outcomes

    def _staying(self, now: int, look: Look) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for crossing in [one for one in self._crossings.values() if vain.is_due(one, now)]:
            crossing.looked = True
            event = look(crossing)
            if event is not None and vain.has_come_to_stay(crossing, event, self._containers):
                crossing.live[event.head.pid] = event.head.start
                inside = self._containers.by_cgroup(event.task.cgroup, event.task.cgroup_parent)
                outcomes += self._enter(crossing, event, event.joined.joined_since(event.home), inside)
                self._touched.add(crossing.cookie)
        return outcomes

    def take(self, crossing: Crossing) -> None:
        """Follow a crossing that began elsewhere."""
        self._crossings[crossing.cookie] = crossing
        self._touched.add(crossing.cookie)

    def enter(self, crossing: Crossing, event: Exec, container: str, way: Means) -> list[Outcome]:
        """A crossing that joined nothing is an entry, of the cgroup's `container`, with this program."""
        files = entered_through_files(event, self._containers)
        crossing.owner = Owner(files)
        return self._enter(crossing, event, [], container, "proc-root" if files else way)

    def inject(self, reached: Reached, event: Exec | None) -> list[Outcome]:
        """Somebody reached into a process, which runs `event`: an entry if it is a container's and he is not.

        None when it is gone.
        """
        container = None if event is None else self._containers.container_at(event.task.ns.mnt)
        if event is None or container is None or container == self._containers.container_at(reached.by.mnt):
            return self.give_up(reached.head.cookie, "inside")
        crossing, evicted = self._open(event.head.cookie, event.head.time)
        self._touched.add(crossing.cookie)
        crossing.reached = reached
        crossing.live[event.head.pid] = event.head.start
        crossing.owner = Owner(container)
        inside = self._containers.by_cgroup(event.task.cgroup, event.task.cgroup_parent)
        return [*evicted, *self._enter(crossing, event, [], inside, "inject")]

    def give_up(self, cookie: int, reason: Reason) -> list[Outcome]:
        """Nothing more of this crossing is told."""
        self._given_up[cookie] = None
        self._touched.add(cookie)
        if len(self._given_up) > MAX_CROSSINGS:
            self._touched.add(self._given_up.popitem(last=False)[0])
        return [Released(cookie, reason)]

    def _setns(self, event: Setns) -> list[Outcome]:
        cookie = event.head.cookie
        thread = Flag.THREAD in event.head.flags
        if Flag.RETURNED in event.head.flags:
            known = self._crossings.get(cookie)
            return self._returned(known, event) if known else []
        crossing, evicted = self._open(cookie, event.head.time)
        crossing.setns = event
        crossing.runs = vain.runs(event, self._containers)
        previous = self._crossings.get(event.previous)
        if previous and previous is not crossing and (session := previous.session):
            around = session.around()
            inside = any(one is crossing for one in around)  # told twice: a session is not within itself
            crossing.within = session if len(around) < MAX_NESTED and not inside else None
        if not thread:
            crossing.live[event.head.pid] = event.head.start
        return [*evicted, Crossed(crossing, event)]

    def _returned(self, crossing: Crossing, event: Setns) -> list[Outcome]:
        """The task is back where it came from; children that it left behind are not."""
        if crossing.ends_with(event.head):
            crossing.live.pop(event.head.pid, None)
        return [] if crossing.live else self._finish(crossing, event)

    def _close(self, crossing: Crossing) -> None:
        crossing.closed = True
        self._crossings.pop(crossing.cookie, None)
        self._touched.add(crossing.cookie)

    def _open(self, cookie: int, time: int) -> tuple[Crossing, list[Outcome]]:
        crossing = self._crossings.get(cookie)
        if crossing:
            return crossing, []
        crossing = self._crossings[cookie] = Crossing(cookie, time)
        evicted: list[Outcome] = []
        if len(self._crossings) > MAX_CROSSINGS:
            evicted += self._drop(next(iter(self._crossings.values())), "evicted")
        return crossing, evicted

    def _fork(self, event: Fork) -> list[Outcome]:
        crossing, evicted = self._open(event.head.cookie, event.head.time)
        for one in crossing.around():
            one.born(event.head.pid, event.head.start, event.parent)
        return evicted

    def _exec(self, event: Exec) -> list[Outcome]:
        if not event.head.cookie:
            return [Started(event)]
        crossing, evicted = self._open(event.head.cookie, event.head.time)
        for one in crossing.around():
            one.live[event.head.pid] = event.head.start
            one.unseen |= Flag.LEFT_OUT in event.head.flags
        # A mount namespace that a session makes in a container is a door of that container too.
        made: list[Outcome] = [Started(event)] if Flag.INIT in event.head.flags else []
        session = crossing.session
        if session:
            return [
                *evicted,
                *self._out_by_files(crossing, event, session),
                self._command(session, event),
                *made,
            ]
        # Who came in by a join may run what is the host's from there (busybox's nsenter runs itself).
        joined_in = crossing.setns is not None and self._containers.container_at(event.home.mnt) is None
        if not joined_in and (escaped := self._out_by_files(crossing, event, None)):
            return [*evicted, *made, *escaped]
        return evicted + self._decide(crossing, event)

    def _out_by_files(self, crossing: Crossing, event: Exec, session: Crossing | None) -> list[Outcome]:
        """An escape without a join, told once for a session."""
        if crossing.escaped or Flag.STRAY not in event.head.flags:
            return []
        cgroup = self._containers.by_cgroup(event.task.cgroup, event.task.cgroup_parent)
        visitor = session is not None and not session.escaped
        left = left_by_files(event, self._containers, cgroup, visitor=visitor)
        if left is None:
            return []
        crossing.escaped = True
        if session is None:
            self._opened(crossing, event)
        return [Escaped(crossing, event, [], left, session)]

    def _opened(self, crossing: Crossing, event: Exec) -> None:
        """A session begins with this program."""
        crossing.entered = event
        crossing.executed[event.head.pid] = event.head.start
        crossing.commands += 1

    def _command(self, session: Crossing, event: Exec) -> Commanded:
        pid = event.head.pid
        session.executed[pid] = event.head.start
        session.commands += 1
        return Commanded(session, event, session.parents.get(pid, event.head.ppid))

    def _decide(self, crossing: Crossing, event: Exec) -> list[Outcome]:
        joined = event.joined.joined_since(event.home)
        cgroup_container = self._containers.by_cgroup(event.task.cgroup, event.task.cgroup_parent)
        if cgroup_container and begins(event, joined, cgroup_container, self._containers):
            return [*self._leave(crossing, event, "start"), Started(event)]
        if escape := left_by_join(event.home, event.joined, self._containers):
            return self._escape(crossing, event, *escape)
        # Who joined its mounts is in it, whatever he executes that he brought along.
        within = "mnt" in joined and self._containers.owner(["mnt"], event.joined).container
        if not within and (container := entered_through_files(event, self._containers)):
            crossing.owner = Owner(container)
            return self._enter(crossing, event, joined, cgroup_container, "proc-root")
        return self._decide_joined(crossing, event, joined, cgroup_container)

    def _decide_joined(
        self, crossing: Crossing, event: Exec, joined: list[str], cgroup_container: str | None
    ) -> list[Outcome]:
        """What the joined namespaces say, once it is no start and no escape."""
        if joined == ["net"] and any(map(self._containers.is_daemon, event.ancestry[:3])):
            return self._leave(crossing, event, "plumbing")
        crossing.owner = self._containers.owner(joined, event.joined)
        # A container whose start was not seen is unknown by its namespaces; who came from the host into its
        # cgroup has entered it all the same.
        by_cgroup = cgroup_container and self._containers.is_host(event.home.mnt)
        if not crossing.owner.container and not crossing.owner.shared and not by_cgroup:
            return self._leave(crossing, event, "foreign")
        if Flag.UNWITNESSED in event.head.flags and is_orphan(
            event, crossing.owner.container, cgroup_container
        ):
            return self._leave(crossing, event, "orphan")
        return self._enter(crossing, event, joined, cgroup_container)

    def _enter(
        self,
        crossing: Crossing,
        event: Exec,
        joined: list[str],
        cgroup_container: str | None,
        way: Means | None = None,
    ) -> list[Outcome]:
        self._opened(crossing, event)
        # A lineage that executed before its first exec was told was inside when an earlier sensor was killed.
        witnessed = not event.head.flags & (Flag.UNWITNESSED | Flag.EXECUTED)
        entered = Entered(crossing, event, joined, cgroup_container, way, witnessed)
        return [entered, *self._out_by_files(crossing, event, crossing)]

    def _escape(self, crossing: Crossing, event: Exec, left: str, kinds: list[str]) -> list[Outcome]:
        """Into the host's namespaces: it goes on as a command of the session that it came out of."""
        crossing.escaped = True
        outer = crossing.outer
        if outer is None:
            self._opened(crossing, event)
            return [Escaped(crossing, event, kinds, left, None)]
        crossing.stayed = True
        escaped = Escaped(crossing, event, kinds, left, outer)
        return [Released(crossing.cookie, "within"), escaped, self._command(outer, event)]

    def _leave(self, crossing: Crossing, event: Exec, reason: Reason) -> list[Outcome]:
        """It is no entry: nothing more to follow, unless it came out of a session."""
        if crossing.outer is None:
            return self._drop(crossing, reason)
        crossing.stayed = True
        return [Released(crossing.cookie, "within"), self._command(crossing.outer, event)]

    def _drop(self, crossing: Crossing, reason: Reason) -> list[Outcome]:
        self._close(crossing)
        return self.give_up(crossing.cookie, reason)

    def _exit(self, event: Exit) -> list[Outcome]:
        if Flag.INIT in event.head.flags:
            return [Stopped(event)]
        crossing = self._crossings.get(event.head.cookie)
        if crossing is None:
            return []
        outcomes: list[Outcome] = []
        for one in crossing.around():
            one.unseen |= Flag.LEFT_OUT in event.head.flags
            outcomes += self._gone_from(one, event)
        return outcomes

    def _gone_from(self, crossing: Crossing, event: Exit) -> list[Outcome]:
        pid = event.head.pid
        outcomes: list[Outcome] = []
        if crossing.ends_with(event.head):
            start = crossing.died(pid)
            if start is not None:
                outcomes.append(Exited(crossing, event, start))
            if crossing.entered and pid == crossing.entered.head.pid:
                crossing.status = event.status
        if not crossing.live and not crossing.unseen:
            outcomes += self._finish(crossing, event)
        return outcomes

    def _finish(self, crossing: Crossing, event: Exit | Setns) -> list[Outcome]:
        self._close(crossing)
        if crossing.entered:
            return [Ended(crossing, event.head.time)]
        return [] if crossing.stayed else [vain.judge(crossing, event, self._containers)]
