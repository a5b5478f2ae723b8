# SPDX-License-Identifier: Apache-2.0
"""Decodes what the kernel hands over: the twin of bpf/event.h, held to it by tests/kernel/test_layout.py."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final, NamedTuple

TICK: Final = 10_000_000
"""Nanoseconds of one tick of /proc/PID/stat. Starts are cut to it: both sources name a process alike."""


class Kind(IntEnum):
    """enum event_kind."""

    SETNS = 1
    FORK = 2
    EXEC = 3
    EXIT = 4


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


COUNTERS: Final = (
    "kernel.setns",
    "kernel.setns_no_change",
    "kernel.marked_fork",
    "kernel.marked_exec",
    "kernel.marked_exit",
    "kernel.new_mount",
    "kernel.lost.ring",
    "kernel.lost.mark",
    "kernel.lost.before",
    "kernel.argv_fault",
)
"""enum counter, in its order. Those with "lost" in their name are losses, by cause."""


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


@dataclass(frozen=True, slots=True)
class Exit:
    """A marked process is gone, or a marked thread that never executed."""

    head: Head
    status: int
    calls: int
    home: NsSet
    joined: NsSet


KernelEvent = Setns | Fork | Exec | Exit

_PATH_LEN: Final = 1024
_FILENAME_LEN: Final = 256
_ANCESTORS: Final = 16
_NS: Final = "10I"
HEAD: Final = struct.Struct("=2I3Q4I")
NS: Final = struct.Struct("=" + _NS)
FACTS: Final = struct.Struct("=" + _NS + "2Q8I16s96s96s")
ANCESTOR: Final = struct.Struct("=Q4I16s")
ANCESTRY_SIZE: Final = 8 + _ANCESTORS * ANCESTOR.size
SETNS_SIZE: Final = HEAD.size + 8 + 2 * NS.size + FACTS.size + ANCESTRY_SIZE
FORK_SIZE: Final = HEAD.size + 8
EXIT_SIZE: Final = HEAD.size + 8 + 2 * NS.size
_EXEC_SIZES: Final = struct.Struct("=4IQ")
EXEC_TASK: Final = HEAD.size + 3 * NS.size + _EXEC_SIZES.size
EXEC_EXE: Final = EXEC_TASK + FACTS.size + ANCESTRY_SIZE
EXEC_ARGV: Final = EXEC_EXE + 2 * _PATH_LEN + _FILENAME_LEN


class Undecodable(ValueError):  # noqa: N818 - like wire.Malformed
    """The bytes are none of the layout: object and agent are of different versions."""


def text(raw: bytes) -> str:
    """`raw` as text; bytes that are not UTF-8 become visible backslash escapes."""
    return raw.decode("utf-8", "backslashreplace")


def _name(raw: bytes) -> str:
    return text(raw.split(b"\0", 1)[0])


def _head(data: bytes) -> Head:
    kind, flags, time, cookie, start, *ids = HEAD.unpack_from(data)
    return Head(Kind(kind), Flag(flags), time, cookie, start // TICK * TICK, *ids)


def _namespaces(data: bytes, offset: int) -> NsSet:
    return NsSet._make(NS.unpack_from(data, offset))


def _facts(data: bytes, offset: int) -> Facts:
    *numbers, comm, cgroup, parent = FACTS.unpack_from(data, offset)
    ns = NsSet._make(numbers[:10])
    rest: list[Any] = [*numbers[10:], _name(comm), _name(cgroup), _name(parent)]
    return Facts(ns, *rest)


def _ancestry(data: bytes, offset: int) -> tuple[Step, ...]:
    (length,) = struct.unpack_from("=I", data, offset)
    steps = []
    for i in range(min(length, _ANCESTORS)):
        start, *ids, comm = ANCESTOR.unpack_from(data, offset + 8 + i * ANCESTOR.size)
        rest: list[Any] = [start // TICK * TICK, *ids, _name(comm)]
        steps.append(Step(*rest))
    return tuple(steps)


def _path(raw: bytes) -> str:
    """Names leaf first, each ended by NUL, to the path from the root."""
    names = raw.split(b"\0")[:-1]
    return text(b"/" + b"/".join(reversed(names)))


def _setns(data: bytes) -> Setns:
    at = HEAD.size
    (previous,) = struct.unpack_from("=Q", data, at)
    home, joined = _namespaces(data, at + 8), _namespaces(data, at + 8 + NS.size)
    at += 8 + 2 * NS.size
    return Setns(_head(data), previous, home, joined, _facts(data, at), _ancestry(data, at + FACTS.size))


def _fork(data: bytes) -> Fork:
    return Fork(_head(data), struct.unpack_from("=I", data, HEAD.size)[0])


def _exit(data: bytes) -> Exit:
    status, calls = struct.unpack_from("=2I", data, HEAD.size)
    at = HEAD.size + 8
    return Exit(_head(data), status, calls, _namespaces(data, at), _namespaces(data, at + NS.size))


def _exec(data: bytes) -> Exec:
    head = _head(data)
    at = HEAD.size
    home, joined, parent = (_namespaces(data, at + i * NS.size) for i in range(3))
    exe, cwd, filename, argv, total = _EXEC_SIZES.unpack_from(data, at + 3 * NS.size)
    if argv > len(data) - EXEC_ARGV or max(exe, cwd) > _PATH_LEN or filename > _FILENAME_LEN:
        raise Undecodable("a length in an exec event points beyond it")
    strings = data[EXEC_ARGV : EXEC_ARGV + argv]
    cut = total > argv
    arguments = strings.removesuffix(b"\0").split(b"\0") if argv else None
    return Exec(
        head,
        home,
        joined,
        parent,
        _facts(data, EXEC_TASK),
        _ancestry(data, EXEC_TASK + FACTS.size),
        # The lower part of a deep path is that of another file: /a/.../bin/ls is not /bin/ls.
        exe=_path(data[EXEC_EXE : EXEC_EXE + exe]) if exe and Flag.EXE_CUT not in head.flags else None,
        # No component at all is the task's root; the kernel always knows a working directory.
        cwd=None if Flag.CWD_CUT in head.flags else _path(data[EXEC_EXE + _PATH_LEN :][:cwd]),
        filename=text(data[EXEC_EXE + 2 * _PATH_LEN :][:filename]) if filename else None,
        argv=None if Flag.ARGV_FAULT in head.flags or arguments is None else [text(a) for a in arguments],
        argv_cut=cut,
    )


_DECODERS: Final[dict[Kind, tuple[int, Callable[[bytes], KernelEvent]]]] = {
    Kind.SETNS: (SETNS_SIZE, _setns),
    Kind.FORK: (FORK_SIZE, _fork),
    Kind.EXEC: (EXEC_ARGV, _exec),
    Kind.EXIT: (EXIT_SIZE, _exit),
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
