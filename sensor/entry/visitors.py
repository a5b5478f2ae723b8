# SPDX-License-Identifier: Apache-2.0
"""Who is in a container already, and did not begin there: visits that no hook saw begin, found in /proc.

A process in a container's mount namespace whose ancestry leads out of it without meeting the container's first
process came from outside. One whose parents are gone was adopted by that first process, and cannot be told from
the container's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.entry.crossing import Crossing
from sensor.probe.layout import Exec, Facts, Flag, Fork, Head, Kind, NsSet, Reached, Step

_DEPTH: Final = 64
_STEPS: Final = 16
_UNSET: Final = 0xFFFFFFFF
_PTS: Final = 136


@dataclass(frozen=True, slots=True)
class Visitor:
    """A process that came from outside, and what descends from it."""

    pid: int
    start: int
    members: tuple[int, ...]
    """Pids of its descendants in the container, parents first."""


def find(init_at: Callable[[int], int | None], proc: Path = procfs.PROC) -> list[Visitor]:
    """The visitors of all containers. `init_at` gives the first process of a container by mount namespace."""
    parents: dict[int, int] = {}
    mounts: dict[int, int] = {}
    for pid in procfs.pids(proc):
        mnt, parent = procfs.namespace(pid, "mnt", proc), procfs.parent(pid, proc)
        if mnt is not None and parent is not None:
            mounts[pid], parents[pid] = mnt, parent
    inits = {mnt: init for mnt in set(mounts.values()) if (init := init_at(mnt)) is not None}
    members: dict[int, list[tuple[int, int]]] = {}
    for pid, mnt in mounts.items():
        init = inits.get(mnt)
        if init is not None and (top := _top(pid, init, mounts, parents)) is not None:
            members.setdefault(top[0], []).append((top[1], pid))
    found = []
    for pid, below in members.items():
        start = procfs.stat_start(pid, proc)
        # One that is about to end has no program any more, and the kernel's mark is gone before its namespaces.
        if start is not None and procfs.exe(pid, proc) is not None:
            found.append(Visitor(pid, start, tuple(each for depth, each in sorted(below) if depth)))
    return found


def _top(pid: int, init: int, mounts: dict[int, int], parents: dict[int, int]) -> tuple[int, int] | None:
    """The outermost process above `pid` in its mount namespace, and how far; None below the first process."""
    for depth in range(_DEPTH):
        if pid == init:
            return None
        parent = parents.get(pid, 0)
        if parent not in mounts:  # its namespaces cannot be read: nothing is claimed of it, but for init
            return (pid, depth) if parent == 1 else None
        if mounts[parent] != mounts[pid]:
            return pid, depth
        pid = parent
    return None


def events(visitor: Visitor, cookie: int, home: NsSet, proc: Path = procfs.PROC) -> Iterator[Exec | Fork]:
    """What the kernel would have told of it: its program, as it is now, and its descendants."""
    found = _program(visitor, cookie, home, proc)
    if found is None:
        return
    yield found
    for pid in visitor.members:
        known = procfs.stat(pid, proc)
        if known is not None:
            head = Head(Kind.FORK, Flag.EXECUTED, cookie, cookie, known.start, pid, pid, known.ppid, 0)
            yield Fork(head, known.ppid)


def program(pid: int, start: int, proc: Path = procfs.PROC) -> Exec | None:
    """What a process runs, as it is now, of whom nothing more is known; None when it is gone."""
    here = namespaces(pid, proc)
    found = _program(Visitor(pid, start, ()), 0, here, proc) if here else None
    return found if found and procfs.same_start(found.head.start, start) else None


def staying(crossing: Crossing, proc: Path = procfs.PROC) -> Exec | None:
    """A process, or the thread, that joined and executed nothing, as it is now; None when all are gone or back."""
    event = crossing.setns
    if event is None:
        return None
    head, thread = event.head, Flag.THREAD in event.head.flags
    for pid, start in [*crossing.live.items(), *([(head.pid, head.start)] if thread else [])]:
        found = program(pid, start, proc)
        its = head.tid if thread and pid == head.pid else pid
        here = namespaces(its, proc / str(pid) / "task")
        if found and here and here.mnt != event.home.mnt:
            told = replace(found.head, flags=Flag(0), cookie=head.cookie, tid=its)
            return replace(found, head=told, home=event.home, joined=here, task=replace(found.task, ns=here))
    return None


def stands(reached: Reached, proc: Path = procfs.PROC) -> Exec | None:
    """A process that was moved, as it is now; None when it is gone, or not where it was moved to any more."""
    pid, task = reached.head.pid, reached.task
    known, here = procfs.stat(pid, proc), namespaces(pid, proc)
    if known is None or here is None or not procfs.same_start(known.start, reached.head.start):
        return None
    if here.mnt != task.ns.mnt or _cgroup(procfs.cgroups(pid, proc)) != (task.cgroup, task.cgroup_parent):
        return None
    return reached_program(reached, proc)


def reached_program(reached: Reached, proc: Path = procfs.PROC) -> Exec:
    """What runs in a process that somebody reached: by the kernel, and what only stands in /proc."""
    pid, task = reached.head.pid, reached.task
    line, exe, cwd = procfs.cmdline(pid, proc), procfs.exe(pid, proc), procfs.cwd(pid, proc)
    now = procfs.stat(pid, proc)
    if now is None or not procfs.same_start(now.start, reached.head.start):
        line, exe, cwd = None, None, None
    return Exec(
        replace(reached.head, kind=Kind.EXEC),
        task.ns,
        task.ns,
        task.ns,
        task,
        tuple(_ancestry(reached.head.ppid, proc)),
        exe,
        cwd,
        None,
        line[0] if line else None,
        argv_cut=line[1] if line else False,
        exe_mnt=task.ns.mnt,
        cwd_mnt=task.ns.mnt,
    )


def injected(reached: Reached, proc: Path = procfs.PROC) -> Exec | None:
    """What runs in the process that somebody reached into; None when it is gone or cannot be found."""
    if not reached.target:
        return reached_program(reached, proc)
    pid = _by_number(reached.target, reached.task.ns.pid, proc)
    start = None if pid is None else procfs.stat_start(pid, proc)
    here = None if pid is None else namespaces(pid, proc)
    if pid is None or start is None or here is None:
        return None
    cookie = reached.head.cookie
    found = _program(Visitor(pid, start, ()), cookie, here, proc)
    return found and replace(found, head=replace(found.head, flags=Flag(0), time=reached.head.time))


def _by_number(number: int, pid_ns: int, proc: Path) -> int | None:
    """The process that has this pid in this pid namespace; not found where it is in one below."""
    if pid_ns == procfs.namespace(os.getpid(), "pid", proc):
        return number
    for pid in procfs.pids(proc):
        if procfs.namespace(pid, "pid", proc) == pid_ns:
            status = procfs.status(pid, proc)
            if status is not None and status.nspid[-1:] == (number,):
                return pid
    return None


def namespaces(pid: int, proc: Path = procfs.PROC) -> NsSet | None:
    """All of a process; None when it is gone. Kinds that the kernel does not have are 0."""
    found = procfs.namespaces(pid, proc=proc)
    return None if found is None else NsSet(*(found.get(kind, 0) for kind in NsSet._fields))


def tids(pid: int, proc: Path = procfs.PROC) -> list[int]:
    """Its threads."""
    try:
        return [int(each.name) for each in (proc / str(pid) / "task").iterdir()]
    except OSError:
        return []


def _program(visitor: Visitor, cookie: int, home: NsSet, proc: Path) -> Exec | None:
    pid = visitor.pid
    known, status, here = procfs.stat(pid, proc), procfs.status(pid, proc), namespaces(pid, proc)
    if known is None or status is None or here is None:
        return None
    line = procfs.cmdline(pid, proc)
    leaf, above = _cgroup(procfs.cgroups(pid, proc))
    login = procfs.login(pid, proc)
    uid, session = (login.get("uid"), login.get("session")) if login else (None, None)
    terminal = known.tty.removeprefix("pts/") if known.tty and known.tty.startswith("pts/") else None
    number = int(terminal) if terminal and terminal.isdecimal() else 0
    task = Facts(
        here,
        int(status.caps, 16),
        0,
        status.uid,
        status.gid,
        _UNSET if uid is None else uid,
        _UNSET if session is None else session,
        _PTS + number // 256 if terminal else 0,
        number % 256,
        status.nspid[-1] if status.nspid else pid,
        here.mnt,
        known.comm,
        leaf,
        above,
    )
    head = Head(Kind.EXEC, Flag.UNWITNESSED, cookie, cookie, known.start, pid, pid, known.ppid, status.uid)
    return Exec(
        head,
        home,
        here,
        home,
        task,
        tuple(_ancestry(known.ppid, proc)),
        procfs.exe(pid, proc),
        procfs.cwd(pid, proc),
        None,
        line[0] if line else None,
        argv_cut=line[1] if line else False,
        exe_mnt=here.mnt,
        cwd_mnt=here.mnt,
    )


def _ancestry(pid: int, proc: Path) -> Iterator[Step]:
    for _ in range(_STEPS):
        known, status = procfs.stat(pid, proc), procfs.status(pid, proc)
        if pid == 0 or known is None or status is None:
            return
        mnt = procfs.namespace(pid, "mnt", proc) or 0
        yield Step(known.start, pid, status.uid, mnt, _UNSET, known.comm)
        pid = known.ppid


def _cgroup(lines: list[str]) -> tuple[str, str]:
    """The last two names, of the hierarchy that the kernel's events tell of."""
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in lines if ":" in line)
    }
    path = paths.get("", "/")
    names = (path if path != "/" else paths.get("pids", "/")).strip("/").split("/")
    return names[-1], names[-2] if len(names) > 1 else ""


def new_cookie() -> int:
    """Names a crossing that is found now, as the kernel names those that it sees: by the time since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
