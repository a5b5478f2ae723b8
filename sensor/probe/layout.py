# SPDX-License-Identifier: Apache-2.0
"""Decodes what the kernel hands over: the twin of bpf/event.h, held to it by tests/kernel/test_layout.py."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

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
_ANCESTORS: Final = 16
_NS: Final = "10I"
HEAD: Final = struct.Struct("=2I3Q4I")
NS: Final = struct.Struct("=" + _NS)
FACTS: Final = struct.Struct("=" + _NS + "2Q8I16s96s96s")
MARK: Final = struct.Struct("=Q2I" + 2 * _NS + "2Q")
BUDGET: Final = struct.Struct("=7Q2I")
ANCESTOR: Final = struct.Struct("=Q4I16s")
ANCESTRY_SIZE: Final = 8 + _ANCESTORS * ANCESTOR.size
_SETNS_SIZES: Final = struct.Struct("=2IQ2IQ")
SETNS_TASK: Final = HEAD.size + 8 + 2 * NS.size + _SETNS_SIZES.size
SETNS_TEXTS: Final = SETNS_TASK + FACTS.size + ANCESTRY_SIZE
FORK_SIZE: Final = HEAD.size + 8
EXIT_SIZE: Final = HEAD.size + 8 + 2 * NS.size
REACHED_BY: Final = HEAD.size + 16
_REACHED_SIZES: Final = struct.Struct("=2IQ")
REACHED_TASK: Final = REACHED_BY + ANCESTOR.size + _REACHED_SIZES.size
REACHED_TEXTS: Final = REACHED_TASK + FACTS.size + ANCESTRY_SIZE
_EXEC_SIZES: Final = struct.Struct("=4IQ2I")
EXEC_TASK: Final = HEAD.size + 3 * NS.size + _EXEC_SIZES.size
EXEC_TEXTS: Final = EXEC_TASK + FACTS.size + ANCESTRY_SIZE
EXEC_TEXTS_LEN: Final = 2 * _PATH_LEN + _FILENAME_LEN + _ARGV_LEN
SETNS_TEXTS_LEN: Final = _PATH_LEN + 2 * _CALLER_ARGV_LEN


def mark(cookie: int, home: NsSet, joined: NsSet, flags: Flag = Flag.EXECUTED) -> bytes:
    """The kernel's mark of a lineage: of one that is inside already, without other `flags`."""
    return MARK.pack(cookie, flags, 0, *home, *joined, 0, 0)


class Undecodable(ValueError):  # noqa: N818 - like wire.Malformed
    """The bytes are none of the layout: object and agent are of different versions."""


def text(raw: bytes) -> str:
    """`raw` as text; bytes that are not UTF-8 become visible backslash escapes."""
    return raw.decode("utf-8", "backslashreplace")


def _name(raw: bytes) -> str:
    return text(raw.split(b"\0", 1)[0])


def read_head(data: bytes) -> Head:
    """What every event begins with."""
    kind, flags, time, cookie, start, *ids = HEAD.unpack_from(data)
    return Head(Kind(kind), Flag(flags), time, cookie, start // TICK * TICK, *ids)


def _namespaces(data: bytes, offset: int) -> NsSet:
    return NsSet._make(NS.unpack_from(data, offset))


def read_facts(data: bytes, offset: int) -> Facts:
    """Struct task_facts at an offset."""
    *numbers, comm, cgroup, parent = FACTS.unpack_from(data, offset)
    rest: list[Any] = [*numbers[10:], *map(_name, (comm, cgroup, parent))]
    return Facts(NsSet._make(numbers[:10]), *rest)


def _step(data: bytes, offset: int) -> Step:
    start, *ids, comm = ANCESTOR.unpack_from(data, offset)
    rest: list[Any] = [start // TICK * TICK, *ids, _name(comm)]
    return Step(*rest)


def read_ancestry(data: bytes, offset: int) -> tuple[Step, ...]:
    """Struct ancestry at an offset."""
    length = min(struct.unpack_from("=I", data, offset)[0], _ANCESTORS)
    return tuple(_step(data, offset + 8 + i * ANCESTOR.size) for i in range(length))


def _path(raw: bytes) -> str:
    """Names leaf first, each ended by NUL, to the path from the root."""
    names = raw.split(b"\0")[:-1]
    return text(b"/" + b"/".join(reversed(names)))


def texts_in(data: bytes, at: int, *lengths: int) -> list[bytes]:
    """The texts at an event's end, each as long as its length says. Raises Undecodable."""
    if at + sum(lengths) > len(data):
        raise Undecodable("the lengths in an event point beyond it")
    return [data[begin:end] for begin, end in pairwise(accumulate(lengths, initial=at))]


def argv_in(raw: bytes, head: Head) -> list[str] | None:
    """A command line; None where it could not be read."""
    if Flag.ARGV_FAULT in head.flags or not raw:
        return None
    return [text(argument) for argument in raw.removesuffix(b"\0").split(b"\0")]


def exe_in(raw: bytes, head: Head) -> str | None:
    """The path of an executable; None where it is not known whole."""
    # The lower part of a deep path is that of another file: /a/.../bin/ls is not /bin/ls.
    return _path(raw) if raw and Flag.EXE_CUT not in head.flags else None


def _setns(data: bytes) -> Setns:
    head = read_head(data)
    at = HEAD.size
    (previous,) = struct.unpack_from("=Q", data, at)
    home, joined = _namespaces(data, at + 8), _namespaces(data, at + 8 + NS.size)
    exe_len, argv_len, _, runtime_pid, runtime_len, _ = _SETNS_SIZES.unpack_from(data, at + 8 + 2 * NS.size)
    exe, argv, runtime = texts_in(data, SETNS_TEXTS, exe_len, argv_len, runtime_len)
    return Setns(
        head,
        previous,
        home,
        joined,
        read_facts(data, SETNS_TASK),
        read_ancestry(data, SETNS_TASK + FACTS.size),
        exe=exe_in(exe, head),
        argv=argv_in(argv, head),
        runtime_pid=runtime_pid or None,
        runtime_argv=[text(argument) for argument in runtime.removesuffix(b"\0").split(b"\0")]
        if runtime
        else None,
    )


def _fork(data: bytes) -> Fork:
    return Fork(read_head(data), struct.unpack_from("=I", data, HEAD.size)[0])


def _exit(data: bytes) -> Exit:
    status, calls = struct.unpack_from("=2I", data, HEAD.size)
    both = (_namespaces(data, HEAD.size + 8 + index * NS.size) for index in (0, 1))
    return Exit(read_head(data), status, calls, *both)


def _reached(data: bytes) -> Reached:
    how, mnt, target, _ = struct.unpack_from("=4I", data, HEAD.size)
    if how not in tuple(How):
        raise Undecodable(f"unknown way to reach a container {how}")
    head = read_head(data)
    exe_len, argv_len, _ = _REACHED_SIZES.unpack_from(data, REACHED_BY + ANCESTOR.size)
    exe, argv = texts_in(data, REACHED_TEXTS, exe_len, argv_len)
    return Reached(
        head,
        How(how),
        mnt,
        target,
        _step(data, REACHED_BY),
        read_facts(data, REACHED_TASK),
        read_ancestry(data, REACHED_TASK + FACTS.size),
        exe=exe_in(exe, head),
        argv=argv_in(argv, head),
    )


def _exec(data: bytes) -> Exec:
    head = read_head(data)
    at = HEAD.size
    home, joined, parent = (_namespaces(data, at + i * NS.size) for i in range(3))
    *lengths, total, exe_mnt, cwd_mnt = _EXEC_SIZES.unpack_from(data, at + 3 * NS.size)
    exe, cwd, filename, argv = texts_in(data, EXEC_TEXTS, *lengths)
    return Exec(
        head,
        home,
        joined,
        parent,
        read_facts(data, EXEC_TASK),
        read_ancestry(data, EXEC_TASK + FACTS.size),
        exe=exe_in(exe, head),
        # No component at all is the task's root; the kernel always knows a working directory.
        cwd=None if Flag.CWD_CUT in head.flags else _path(cwd),
        filename=text(filename) if filename else None,
        argv=argv_in(argv, head),
        argv_cut=total > len(argv),
        exe_mnt=exe_mnt,
        cwd_mnt=cwd_mnt,
    )


_DECODERS: Final[dict[Kind, tuple[int, Callable[[bytes], KernelEvent]]]] = {
    Kind.SETNS: (SETNS_TEXTS, _setns),
    Kind.FORK: (FORK_SIZE, _fork),
    Kind.EXEC: (EXEC_TEXTS, _exec),
    Kind.EXIT: (EXIT_SIZE, _exit),
    Kind.REACHED: (REACHED_TEXTS, _reached),
}


def decode(data: bytes) -> KernelEvent:
    """The event that one record of the ring holds. Raises Undecodable."""
    if len(data) < HEAD.size:
        raise Undecodable(f"{len(data)} bytes are shorter than an event's head")
    kind = int.from_bytes(data[:4], "little" if struct.pack("=H", 1)[0] else "big")
    if kind not in _DECODERS:
        raise Undecodable(f"unknown kind of event {kind}")
    size, decoder = _DECODERS[Kind(kind)]
    if len(data) < size:
        raise Undecodable(f"{Kind(kind).name} of {len(data)} bytes, {size} expected")
    return decoder(data)
