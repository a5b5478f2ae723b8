# SPDX-License-Identifier: Apache-2.0
"""What the kernel hands over, and where in it each part stands: the twin of bpf/event.h, as a test of both says."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

TICK: Final = 10_000_000
"""Nanoseconds of one tick of /proc/PID/stat. Starts are cut to it: both sources name a process alike."""


class Kind(IntEnum):
    """enum event_kind."""

    SETNS = 1
    FORK = 2
    EXEC = 3
    EXIT = 4
    REACHED = 7
    SIGNAL = 8
    CONTACT = 9
    FLOW = 10


class How(IntEnum):
    """enum reach."""

    CGROUP = 1
    TRACE = 2
    WRITE = 3
    TAKE = 4


class Flag(IntFlag):
    """enum event_flag."""

    EXECUTED = 1 << 0
    INIT = 1 << 1
    NEW_MOUNT = 1 << 2
    UNWITNESSED = 1 << 3
    RETURNED = 1 << 4
    THREAD = 1 << 5
    ARGV_FAULT = 1 << 6
    CWD_CUT = 1 << 7
    EXE_CUT = 1 << 8
    STRAY = 1 << 9
    MOVED = 1 << 10
    LEFT_OUT = 1 << 11


class NsSet(NamedTuple):
    """struct ns_set: inode numbers of a task's namespaces."""

    cgroup: int
    ipc: int
    mnt: int
    net: int
    pid: int
    pid_for_children: int
    time: int
    time_for_children: int
    user: int
    uts: int

    def joined_since(self, home: NsSet) -> list[str]:
        """Kinds that differ from `home`, by the names of namespaces(7)."""
        changed = {
            name.removesuffix("_for_children")
            for name, mine, theirs in zip(self._fields, self, home, strict=True)
            if mine != theirs
        }
        return sorted(changed)


@dataclass(frozen=True, slots=True)
class Step:
    """struct ancestor."""

    start: int
    pid: int
    uid: int
    mnt: int
    login_uid: int
    comm: str


@dataclass(frozen=True, slots=True)
class Facts:
    """struct task_facts."""

    ns: NsSet
    caps: int
    cgroup_id: int
    uid: int
    gid: int
    login_uid: int
    login_session: int
    tty_major: int
    tty_minor: int
    pid_in_ns: int
    root_mnt: int
    comm: str
    cgroup: str
    cgroup_parent: str


@dataclass(frozen=True, slots=True)
class Head:
    """struct event_head, with the start cut to ticks."""

    kind: Kind
    flags: Flag
    time: int
    cookie: int
    start: int
    tid: int
    pid: int
    ppid: int
    uid: int


@dataclass(frozen=True, slots=True)
class Setns:
    """A task's namespaces changed by setns for the first time, or came back to what they were."""

    head: Head
    previous: int
    home: NsSet
    joined: NsSet
    task: Facts
    ancestry: tuple[Step, ...]
    exe: str | None
    argv: list[str] | None
    runtime_pid: int | None
    """The process above that a supervisor executed, with the arguments that it was given."""
    runtime_argv: list[str] | None


@dataclass(frozen=True, slots=True)
class Fork:
    """A marked process has a child."""

    head: Head
    parent: int


@dataclass(frozen=True, slots=True)
class Exec:
    """A marked task, or one in a mount namespace new to us, executed a program."""

    head: Head
    home: NsSet
    joined: NsSet
    parent: NsSet
    task: Facts
    ancestry: tuple[Step, ...]
    exe: str | None
    cwd: str | None
    filename: str | None
    argv: list[str] | None
    argv_cut: bool
    exe_mnt: int = 0
    """Mount namespace of the executable; 0 for a file in memory."""
    cwd_mnt: int = 0


@dataclass(frozen=True, slots=True)
class Exit:
    """A marked process is gone, or a marked thread that never executed."""

    head: Head
    status: int
    calls: int
    home: NsSet
    joined: NsSet


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody came to a container without a namespace of it: see struct event_reached."""

    head: Head
    how: How
    mnt: int
    """The container's mount namespace; 0 where `target`, as the writer numbers it, is all that is known."""
    target: int
    by: Step
    task: Facts
    ancestry: tuple[Step, ...]
    """Above `by`, whose are `exe` and `argv`."""
    exe: str | None
    argv: list[str] | None


KernelEvent = Setns | Fork | Exec | Exit | Reached

_PATH_LEN: Final = 1024
_FILENAME_LEN: Final = 256
_ARGV_LEN: Final = 4096
_CALLER_ARGV_LEN: Final = 1024
ANCESTORS: Final = 16
_NS: Final = "10I"
HEAD: Final = struct.Struct("=2I3Q4I")
NS: Final = struct.Struct("=" + _NS)
FACTS: Final = struct.Struct("=" + _NS + "2Q8I16s96s96s")
MARK: Final = struct.Struct("=Q2I" + 2 * _NS + "2Q")
BUDGET: Final = struct.Struct("=7Q2I")
ANCESTOR: Final = struct.Struct("=Q4I16s")
ANCESTRY_SIZE: Final = 8 + ANCESTORS * ANCESTOR.size
SETNS_SIZES: Final = struct.Struct("=2IQ2IQ")
SETNS_TASK: Final = HEAD.size + 8 + 2 * NS.size + SETNS_SIZES.size
SETNS_TEXTS: Final = SETNS_TASK + FACTS.size + ANCESTRY_SIZE
FORK_SIZE: Final = HEAD.size + 8
EXIT_SIZE: Final = HEAD.size + 8 + 2 * NS.size
REACHED_BY: Final = HEAD.size + 16
REACHED_SIZES: Final = struct.Struct("=2IQ")
REACHED_TASK: Final = REACHED_BY + ANCESTOR.size + REACHED_SIZES.size
REACHED_TEXTS: Final = REACHED_TASK + FACTS.size + ANCESTRY_SIZE
EXEC_SIZES: Final = struct.Struct("=4IQ2I")
EXEC_TASK: Final = HEAD.size + 3 * NS.size + EXEC_SIZES.size
EXEC_TEXTS: Final = EXEC_TASK + FACTS.size + ANCESTRY_SIZE
EXEC_TEXTS_LEN: Final = 2 * _PATH_LEN + _FILENAME_LEN + _ARGV_LEN
SETNS_TEXTS_LEN: Final = _PATH_LEN + 2 * _CALLER_ARGV_LEN


def mark(cookie: int, home: NsSet, joined: NsSet, flags: Flag = Flag.EXECUTED) -> bytes:
    """The kernel's mark of a lineage: of one that is inside already, without other `flags`."""
    return MARK.pack(cookie, flags, 0, *home, *joined, 0, 0)
