# SPDX-License-Identifier: Apache-2.0
"""A crossing as it is followed, and what the tracker can find an event of it to mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sensor.probe.layout import Exec, Exit, Flag, Head, Reached, Setns
from sensor.wire import Means

Reason = Literal[
    "start", "plumbing", "foreign", "returned", "no-exec", "evicted", "within", "orphan", "inside"
]
"""Why a crossing is no entry; "inside": it is a container's own process, or a runtime's step into one."""


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
    reached: Reached | None = None
    """How it came to the container, where it joined none of its namespaces."""
    entered: Exec | None = None
    owner: Owner = Owner(None)
    within: Crossing | None = None
    """The session that a process of it crossed from."""
    stayed: bool = False
    """It led into no container: `within` goes on there."""
    runs: bool = False
    """What it joined first was a running container's."""
    looked: bool = False
    """Whether somebody of it stays inside was looked at already."""
    escaped: bool = False
    """That it used the host's files was told already."""
    unseen: bool = False
    """It has processes that the kernel did not tell of: it flooded."""
    closed: bool = False
    """Nothing more is told of it."""
    live: dict[int, int] = field(default_factory=dict)
    """Pid to start of the processes that carry the mark."""
    parents: dict[int, int] = field(default_factory=dict)
    """Pid to the nearest process above it that had executed something in the session when it was forked."""
    executed: dict[int, int] = field(default_factory=dict)
    """Pid to start of those that executed something after the crossing."""
    commands: int = 0
    status: int | None = None
    """Wait status of the process that entered, once it has ended."""

    @property
    def outer(self) -> Crossing | None:
        """The session around, while it lasts."""
        return self.within if self.within and not self.within.closed else None

    @property
    def session(self) -> Crossing | None:
        """The session that a command of this crossing belongs to, once that is decided."""
        if self.stayed:
            return self.outer
        return self if self.entered else None

    def ends_with(self, head: Head) -> bool:
        """Whether a process of it is over when this thread is: its only one, or that which came to stay."""
        return Flag.THREAD not in head.flags or (
            self.entered is not None and self.entered.head.tid == head.tid
        )

    def around(self) -> list[Crossing]:
        """The crossing and the sessions that it descends from, innermost first."""
        found: list[Crossing] = [self]
        while (outer := found[-1].outer) is not None:
            found.append(outer)
        return found

    def born(self, pid: int, start: int, parent: int) -> None:
        """A process of the crossing has a child."""
        self.live[pid] = start
        above = parent if parent in self.executed else self.parents.get(parent)
        if above is not None:
            self.parents[pid] = above

    def died(self, pid: int) -> int | None:
        """A process is gone; its start, if it had executed something in the session."""
        self.live.pop(pid, None)
        self.parents.pop(pid, None)
        return self.executed.pop(pid, None)


@dataclass(frozen=True, slots=True)
class Crossed:
    """A crossing has begun: the moment to look at the processes outside, for they are about to go."""

    crossing: Crossing
    event: Setns


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody came into a container's cgroup; what of it is decided by what he does."""

    event: Reached


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry."""

    crossing: Crossing
    event: Exec
    namespaces: list[str]
    cgroup_container: str | None
    way: Means | None = None
    """The way in, where it is not the namespaces and the cgroup that tell it."""
    witnessed: bool = True
    """Whether it was seen to come in, and not found inside."""


@dataclass(frozen=True, slots=True)
class Escaped:
    """A container's process came to the host: by its namespaces, or by its files (`namespaces` is empty)."""

    crossing: Crossing
    event: Exec | Exit | Setns
    """The program that it executed there, or its exit or return if it executed none."""
    namespaces: list[str]
    left: str
    """The container."""
    session: Crossing | None
    """The session that it came out of; None if it was the container's own process, and opens one."""


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
    event: Exit | Setns
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
    """No entry of its own. `reason` is counted; "within" a session the kernel follows it still."""

    cookie: int
    reason: Reason


Outcome = (
    Crossed
    | Arrived
    | Entered
    | Escaped
    | Commanded
    | Exited
    | Ended
    | Attempted
    | Started
    | Stopped
    | Released
)
