# SPDX-License-Identifier: Apache-2.0
"""Processes that came into a container's cgroup before any of its namespaces: who of them enters? Pure.

A runtime puts its own process there first and then joins (runc 1.4, lxc-attach); who moves in to hide, or to
use what the container is granted, does not. So what an arrival does is held back for a moment, and decided by
what comes of it, never by who did it:

    it joins the namespaces, or is the parent of one that does     a runtime's step: the join is told, not this
    it executes a program in the namespaces that it had before     entry, by `cgroup-join`
    it stays                                                       entry, of the process as it is
    it is gone, and did neither                                    attempt
    it is a container's own process                                nothing
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sensor.entry.crossing import Arrived, Attempted, Crossing, Outcome, Owner, Reason, Released
from sensor.entry.places import Containers
from sensor.entry.track import Look, Tracker, nobody
from sensor.entry.unseen import Followed
from sensor.probe.layout import Exec, Exit, Flag, Fork, KernelEvent, Reached, Setns

HELD_NS: Final = 1_000_000_000
"""How long a program in the cgroup is held back: a runtime joins some milliseconds after it. Nanoseconds."""
STAY_NS: Final = 5_000_000_000
"""How long a process must be in the cgroup to have come to stay. Nanoseconds."""
MAX_ARRIVALS: Final = 1024
"""That are undecided at once; with more, the oldest is given up, and counted, unless it executed something."""
MAX_HELD: Final = 256
"""Events of one arrival that are told when it enters: later ones than these only say who lives."""

Stand = Callable[[Reached], Exec | None]
"""The process that was moved, as it is now; None when it is gone, or not where it was moved to any more."""


@dataclass(slots=True)
class _Arrival:
    reached: Reached
    container: str
    live: dict[int, int]
    held: list[Fork | Exec | Exit] = field(default_factory=list)
    parents: dict[int, int] = field(default_factory=dict)
    joins: dict[int, int] = field(default_factory=dict)
    """Pid to cookie of those who joined namespaces from here."""
    last: Exit | None = None

    @property
    def began(self) -> int:
        return self.reached.head.time

    def executed(self, led_in: Callable[[int], bool]) -> Iterator[Exec]:
        """Programs that were executed in the cgroup and led nobody into the container."""
        forgiven: set[int] = set()
        for pid, cookie in self.joins.items():
            above: int | None = pid if led_in(cookie) else None
            while above is not None and above not in forgiven:
                forgiven.add(above)
                above = self.parents.get(above)
        return (event for event in self.held if isinstance(event, Exec) and event.head.pid not in forgiven)


class Arrivals:
    """Stands before the tracker: what is not of an arrival goes through."""

    def __init__(self, tracker: Tracker, containers: Containers) -> None:
        self._tracker = tracker
        self._containers = containers
        self._pending: OrderedDict[int, _Arrival] = OrderedDict()
        self._in_vain: OrderedDict[int, None] = OrderedDict()
        """Crossings that came to nothing: who began them has not entered by them."""

    def feed(self, event: KernelEvent) -> list[Outcome]:
        """What `event` means."""
        if isinstance(event, Reached):
            return self._reached(event)
        arrival = self._pending.get(event.head.cookie)
        if arrival is not None and not isinstance(event, Setns):
            return self._more(arrival, event)
        if isinstance(event, Setns) and (arrival := self._pending.get(event.previous)) is not None:
            arrival.joins[event.head.pid] = event.head.cookie
            arrival.live.pop(event.head.pid, None)
        return self._noted(self._tracker.feed(event))

    def due(self, now: int, stand: Stand) -> list[Outcome]:
        """Decides what has waited long enough. Call it often, with the time since boot."""
        outcomes: list[Outcome] = []
        for arrival in list(self._pending.values()):
            first = next(arrival.executed(self._led_in), None)
            if first is not None:
                if now - first.head.time > HELD_NS:
                    outcomes += self._settle(arrival)
            elif not arrival.live:
                outcomes += self._settle(arrival)
            elif now - arrival.began > STAY_NS:
                outcomes += self._stays(arrival, stand)
        return outcomes

    def reconcile(
        self, alive: Callable[[int, int], bool], now: int, followed: Followed = set, look: Look = nobody
    ) -> list[Outcome]:
        """See Tracker. An arrival whose exit was lost is found gone by `due`."""
        return self._noted(self._tracker.reconcile(alive, now, followed, look))

    def _noted(self, outcomes: list[Outcome]) -> list[Outcome]:
        for outcome in outcomes:
            if isinstance(outcome, Released) and outcome.reason in {"returned", "no-exec", "foreign"}:
                self._in_vain[outcome.cookie] = None
                if len(self._in_vain) > MAX_ARRIVALS:
                    self._in_vain.popitem(last=False)
        return outcomes

    def _led_in(self, cookie: int) -> bool:
        return cookie not in self._in_vain

    def _reached(self, event: Reached) -> list[Outcome]:
        container = self._containers.container_at(event.mnt)
        if container is None or self._is_own(event, container):
            return self._tracker.give_up(event.head.cookie, "inside")
        outcomes: list[Outcome] = []
        if len(self._pending) >= MAX_ARRIVALS:
            outcomes += self._settle(next(iter(self._pending.values())), "evicted")
        live = {} if Flag.THREAD in event.head.flags else {event.head.pid: event.head.start}
        self._pending[event.head.cookie] = _Arrival(event, container, live)
        return [*outcomes, Arrived(event)]

    def _is_own(self, event: Reached, container: str) -> bool:
        """Whether it is the container's own process that was moved.

        One that has just made itself a mount namespace, as systemd's services do, is told by who moved it.
        """
        mnt = event.task.ns.mnt
        own = self._containers.container_at(mnt)
        if own is not None or self._containers.is_host(mnt):
            return own == container
        return self._containers.container_at(event.by.mnt) == container

    def _more(self, arrival: _Arrival, event: Fork | Exec | Exit) -> list[Outcome]:
        full = len(arrival.held) >= MAX_HELD
        if not full:
            arrival.held.append(event)
        match event:
            case Fork():
                arrival.live[event.head.pid] = event.head.start
                arrival.parents[event.head.pid] = event.parent
            case Exit():
                arrival.last = event
                if Flag.THREAD not in event.head.flags:
                    arrival.live.pop(event.head.pid, None)
            case Exec():
                arrival.live[event.head.pid] = event.head.start
                if full:
                    arrival.held.append(event)
                if full or event.head.flags & (Flag.INIT | Flag.STRAY):
                    return self._settle(arrival)
        return [] if arrival.live else self._settle(arrival)

    def _stays(self, arrival: _Arrival, stand: Stand) -> list[Outcome]:
        found = stand(arrival.reached)
        if found is None:
            return self._settle(arrival)
        del self._pending[arrival.reached.head.cookie]
        return self._enter(arrival, found, arrival.held)

    def _settle(self, arrival: _Arrival, otherwise: Reason = "inside") -> list[Outcome]:
        """Decides an arrival by what it has done until now; one that did nothing is no entry, for this reason."""
        cookie = arrival.reached.head.cookie
        del self._pending[cookie]
        first = next(arrival.executed(self._led_in), None)
        if first is not None:
            at = arrival.held.index(first)
            if self._starts_another(arrival, first):
                return self._replay(arrival.held)
            entered = self._enter(arrival, first, arrival.held[:at])
            return [*entered, *self._replay(arrival.held[at + 1 :])]
        if arrival.joins or arrival.last is None:
            return self._tracker.give_up(cookie, otherwise)
        crossing = self._crossing(arrival)
        crossing.owner = Owner(arrival.container)
        return [Attempted(crossing, arrival.last, []), *self._tracker.give_up(cookie, "no-exec")]

    def _starts_another(self, arrival: _Arrival, first: Exec) -> bool:
        """Whether it is the start of a container whose cgroup lies below that of this one."""
        inner = self._containers.by_cgroup(first.task.cgroup, "")
        return Flag.INIT in first.head.flags and inner not in {None, arrival.container}

    def _enter(self, arrival: _Arrival, first: Exec, before: list[Fork | Exec | Exit]) -> list[Outcome]:
        crossing = self._crossing(arrival)
        self._tracker.take(crossing)
        outcomes = self._replay([event for event in before if not isinstance(event, Exec)])
        if len(arrival.held) >= MAX_HELD:
            crossing.live = dict(arrival.live)
        return [*outcomes, *self._tracker.enter(crossing, first, arrival.container, "cgroup-join")]

    @staticmethod
    def _crossing(arrival: _Arrival) -> Crossing:
        reached = arrival.reached
        crossing = Crossing(reached.head.cookie, reached.head.time, reached=reached)
        crossing.live[reached.head.pid] = reached.head.start
        return crossing

    def _replay(self, events: Iterable[Fork | Exec | Exit]) -> list[Outcome]:
        return [outcome for event in events for outcome in self._noted(self._tracker.feed(event))]
