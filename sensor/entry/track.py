# SPDX-License-Identifier: Apache-2.0
"""Folds kernel events into crossings, and decides at the first exec what each of them is. Pure.

A crossing begins with a task's first setns and is named by the kernel's cookie. All setns calls of the task,
its forks and its exit belong to it. The first program that runs with other namespaces than before decides:

    start      the mount namespace is none that setns joined, it is new, and the cgroup is a container's
    plumbing   only the network namespace was joined, by a runtime or CNI plugin
    entry      the joined namespaces belong to a container that runs
    foreign    they belong to no container (a service's mount namespace, `ip netns exec`)

From an entry on, whatever the lineage executes is a command of its session.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from sensor.probe.layout import Exec, Exit, Flag, Fork, KernelEvent, NsSet, Setns, Step

MAX_CROSSINGS: Final = 8192
"""Crossings that are followed at once; beyond it the oldest is given up, and counted."""

THREAD_NS: Final = 5_000_000_000
"""How long a crossing without a live process is kept: a thread's may still fork. Nanoseconds."""

# Daemons and plugins that join a container's network namespace alone, to set it up: facts of docker and CNI.
_PLUMBERS: Final = frozenset(
    {
        "dockerd",
        "exe",
        "containerd",
        "podman",
        "netavark",
        "bridge",
        "loopback",
        "portmap",
        "host-local",
        "crio",
    }
)


class Containers(Protocol):
    """What is known of containers, by namespace and by cgroup."""

    def owner(self, kinds: list[str], ns: NsSet) -> Owner:
        """The container that the namespaces of these kinds belong to."""

    def by_cgroup(self, leaf: str, parent: str) -> str | None:
        """The container id that the last components of a cgroup's path name."""

    def knows_mount(self, mnt: int) -> bool:
        """Whether this mount namespace belongs to a container that runs, or to the host."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose namespaces they are. `shared`: several containers', or a container's and the host's."""

    container: str | None
    shared: bool = False


@dataclass(slots=True)
class Crossing:
    """One crossing, from its first setns to the exit of the last process."""

    cookie: int
    began: int
    setns: Setns | None = None
    entered: Exec | None = None
    owner: Owner = Owner(None)
    live: dict[int, int] = field(default_factory=dict)
    """Pid to start of the processes that carry the mark."""
    parents: dict[int, int] = field(default_factory=dict)
    """Pid to the pid that forked it, inside the crossing."""
    executed: dict[int, int] = field(default_factory=dict)
    """Pid to start of those that executed something after the crossing."""
    commands: int = 0
    status: int | None = None
    """Wait status of the process that entered, once it has ended."""

    def nearest_command(self, pid: int) -> int | None:
        """The nearest process above `pid` in the session that executed something."""
        for _ in range(64):
            above = self.parents.get(pid)
            if above is None or above in self.executed:
                return above
            pid = above
        return None


@dataclass(frozen=True, slots=True)
class Crossed:
    """A crossing has begun: the moment to look at the processes outside, for they are about to go."""

    crossing: Crossing
    event: Setns


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry."""

    crossing: Crossing
    event: Exec
    namespaces: list[str]
    cgroup_container: str | None


@dataclass(frozen=True, slots=True)
class Commanded:
    """A program was executed in a session."""

    crossing: Crossing
    event: Exec
    parent: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A process of a session that had executed something ended."""

    crossing: Crossing
    event: Exit
    start: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last process of a session is gone."""

    crossing: Crossing
    time: int


@dataclass(frozen=True, slots=True)
class Attempted:
    """Somebody joined a container's namespaces and executed nothing."""

    crossing: Crossing
    event: Exit
    namespaces: list[str]


@dataclass(frozen=True, slots=True)
class Started:
    """The first program in a mount namespace that is new."""

    event: Exec


@dataclass(frozen=True, slots=True)
class Stopped:
    """The first process of a mount namespace is gone."""

    event: Exit


@dataclass(frozen=True, slots=True)
class Released:
    """No entry: the kernel need not follow it any longer. `reason` is counted."""

    cookie: int
    reason: Literal["start", "plumbing", "foreign", "returned", "no-exec", "evicted"]


Outcome = Crossed | Entered | Commanded | Exited | Ended | Attempted | Started | Stopped | Released


class Tracker:
    """The state machine. One event in, what it means out."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._crossings: OrderedDict[int, Crossing] = OrderedDict()
        self._suspects: set[tuple[int, int]] = set()
        self.unwitnessed = 0
        """Programs run in a known container by a process from outside, without a setns that was seen."""

    @property
    def open_sessions(self) -> int:
        """Sessions with a live process."""
        return sum(1 for crossing in self._crossings.values() if crossing.entered)

    def feed(self, event: KernelEvent) -> list[Outcome]:
        """What `event` means."""
        match event:
            case Setns():
                return self._setns(event)
            case Fork():
                return self._fork(event)
            case Exec():
                return self._exec(event)
            case Exit():
                return self._exit(event)

    def reconcile(self, alive: Callable[[int, int], bool], now: int) -> list[Outcome]:
        """Ends what only lost exit events keep open. Call it every few seconds, with the time since boot.

        A process counts as gone once two calls in a row find it so: its exit may wait in the ring meanwhile.
        """
        suspects: set[tuple[int, int]] = set()
        outcomes: list[Outcome] = []
        for crossing in list(self._crossings.values()):
            gone = {(pid, start) for pid, start in crossing.live.items() if not alive(pid, start)}
            suspects |= gone
            for pid, _ in gone & self._suspects:
                del crossing.live[pid]
                crossing.executed.pop(pid, None)
            if not crossing.live and now - crossing.began > THREAD_NS:
                del self._crossings[crossing.cookie]
                outcomes.append(
                    Ended(crossing, now) if crossing.entered else Released(crossing.cookie, "no-exec")
                )
        self._suspects = suspects
        return outcomes

    def _setns(self, event: Setns) -> list[Outcome]:
        cookie = event.head.cookie
        if Flag.RETURNED in event.head.flags:
            known = self._crossings.pop(cookie, None)
            return [Released(cookie, "returned")] if known else []
        crossing, evicted = self._open(cookie, event.head.time)
        crossing.setns = event
        if Flag.THREAD not in event.head.flags:
            crossing.live[event.head.pid] = event.head.start
        return [*evicted, Crossed(crossing, event)]

    def _open(self, cookie: int, time: int) -> tuple[Crossing, list[Outcome]]:
        crossing = self._crossings.get(cookie)
        if crossing:
            return crossing, []
        crossing = self._crossings[cookie] = Crossing(cookie, time)
        evicted: list[Outcome] = []
        if len(self._crossings) > MAX_CROSSINGS:
            oldest, _ = self._crossings.popitem(last=False)
            evicted.append(Released(oldest, "evicted"))
        return crossing, evicted

    def _fork(self, event: Fork) -> list[Outcome]:
        crossing, evicted = self._open(event.head.cookie, event.head.time)
        crossing.live[event.head.pid] = event.head.start
        crossing.parents[event.head.pid] = event.parent
        return evicted

    def _exec(self, event: Exec) -> list[Outcome]:
        if not event.head.cookie:
            if Flag.NEW_MOUNT in event.head.flags:
                return [Started(event)]
            self.unwitnessed += 1
            return []
        crossing, evicted = self._open(event.head.cookie, event.head.time)
        crossing.live[event.head.pid] = event.head.start
        if crossing.entered:
            parent = crossing.nearest_command(event.head.pid)
            crossing.executed[event.head.pid] = event.head.start
            crossing.commands += 1
            return [*evicted, Commanded(crossing, event, parent or event.head.ppid)]
        return evicted + self._decide(crossing, event)

    def _decide(self, crossing: Crossing, event: Exec) -> list[Outcome]:
        now = event.task.ns
        joined = event.joined.joined_since(event.home)
        cgroup_container = self._containers.by_cgroup(event.task.cgroup, event.task.cgroup_parent)
        new_mount = now.mnt != event.joined.mnt or "mnt" not in joined
        if new_mount and cgroup_container and not self._containers.knows_mount(now.mnt):
            return [*self._drop(crossing, "start"), Started(event)]
        if joined == ["net"] and _is_plumbing(event.ancestry, crossing.setns):
            return self._drop(crossing, "plumbing")
        crossing.owner = self._containers.owner(joined, event.joined)
        if not crossing.owner.container and not crossing.owner.shared:
            return self._drop(crossing, "foreign")
        crossing.entered = event
        crossing.executed[event.head.pid] = event.head.start
        crossing.commands += 1
        return [Entered(crossing, event, joined, cgroup_container)]

    def _drop(self, crossing: Crossing, reason: Literal["start", "plumbing", "foreign"]) -> list[Outcome]:
        self._crossings.pop(crossing.cookie, None)
        return [Released(crossing.cookie, reason)]

    def _exit(self, event: Exit) -> list[Outcome]:
        if Flag.INIT in event.head.flags:
            return [Stopped(event)]
        crossing = self._crossings.get(event.head.cookie)
        if crossing is None:
            return []
        pid = event.head.pid
        outcomes: list[Outcome] = []
        if Flag.THREAD not in event.head.flags:
            crossing.live.pop(pid, None)
            start = crossing.executed.pop(pid, None)
            if start is not None:
                outcomes.append(Exited(crossing, event, start))
            if crossing.entered and pid == crossing.entered.head.pid:
                crossing.status = event.status
        if not crossing.live:
            outcomes += self._finish(crossing, event)
        return outcomes

    def _finish(self, crossing: Crossing, event: Exit) -> list[Outcome]:
        self._crossings.pop(crossing.cookie, None)
        if crossing.entered:
            return [Ended(crossing, event.head.time)]
        joined = event.joined.joined_since(event.home)
        if Flag.THREAD in event.head.flags or joined == ["net"]:
            return [Released(crossing.cookie, "no-exec")]
        crossing.owner = self._containers.owner(joined, event.joined)
        if not crossing.owner.container:
            return [Released(crossing.cookie, "no-exec")]
        return [Attempted(crossing, event, joined)]


def _is_plumbing(ancestry: tuple[Step, ...], setns: Setns | None) -> bool:
    comms = [step.comm for step in ancestry[:3]]
    if setns:
        comms.append(setns.task.comm)
    return any(comm in _PLUMBERS for comm in comms)
