# SPDX-License-Identifier: Apache-2.0
"""Kernel events in the words of the wire: processes, endings, and what is unknown of them."""

from __future__ import annotations

import os
from typing import Final

from sensor.enrich import procfs
from sensor.entry.crossing import Crossing
from sensor.entry.lineage import Redact
from sensor.entry.users import Users
from sensor.probe.contacts import Contact
from sensor.probe.layout import Exec, Step
from sensor.wire import MAX_ARGS, MAX_TEXT, Ancestor, Container, Missing, Process

UNKNOWN_CONTAINER: Final = Container(
    id=None,
    name=None,
    image=None,
    runtime="unknown",
    labels={},
    pod=None,
    init_pid=None,
    user=None,
    caps=None,
    privileged=None,
)


def process_of(event: Exec, redact: Redact, users: Users, *near: int) -> tuple[Process, dict[str, Missing]]:
    """The process as it executed, bounded and redacted, and what of it is not known.

    `near` are pids of its container, for when it is gone.
    """
    task = event.task
    argv, redacted = redact(event.argv) if event.argv is not None else (None, False)
    missing: dict[str, Missing] = {}
    for name, value in (("exe", event.exe), ("argv", argv), ("cwd", event.cwd)):
        if value is None:
            missing[f"process.{name}"] = "unknown"
    process = Process(
        pid=event.head.pid,
        ppid=event.head.ppid,
        start=event.head.start,
        comm=task.comm,
        exe=bounded(event.exe),
        filename=bounded(event.filename),
        argv=None if argv is None else [argument[:MAX_TEXT] for argument in argv[:MAX_ARGS]],
        argv_cut=event.argv_cut or (argv is not None and len(argv) > MAX_ARGS),
        argv_redacted=redacted,
        cwd=bounded(event.cwd),
        uid=task.uid,
        gid=task.gid,
        user=users.of(task, event.head.pid, event.head.ppid, *near),
        caps=f"{task.caps:016x}",
        tty=procfs.terminal_of(task.tty_major, task.tty_minor),
    )
    return process, missing


def client_of(seen: Contact, redact: Redact, users: Users) -> tuple[Process, dict[str, Missing]]:
    """The process that connected, as it was then. Which path it was executed by is not kept anywhere."""
    head, task = seen.head, seen.task
    argv, redacted = redact(seen.argv) if seen.argv is not None else (None, False)
    start = procfs.stat_start(head.pid)
    there = start is not None and procfs.same_start(start, head.start)
    process = Process(
        pid=head.pid,
        ppid=head.ppid,
        start=head.start,
        comm=task.comm,
        exe=bounded(seen.exe),
        filename=None,
        argv=None if argv is None else [argument[:MAX_TEXT] for argument in argv[:MAX_ARGS]],
        argv_cut=seen.argv_cut or (argv is not None and len(argv) > MAX_ARGS),
        argv_redacted=redacted,
        cwd=bounded(procfs.cwd(head.pid)) if there else None,
        uid=task.uid,
        gid=task.gid,
        user=users.of_client(task, head.pid),
        caps=f"{task.caps:016x}",
        tty=procfs.terminal_of(task.tty_major, task.tty_minor),
    )
    unknown = [name for name in ("exe", "filename", "argv", "cwd") if process.get(name) is None]
    return process, {f"process.{name}": "unknown" for name in unknown}


def ending(status: int) -> tuple[int | None, int | None]:
    """Exit code and signal of a wait status, which has 16 bits."""
    status &= 0xFFFF
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def bounded(text: str | None) -> str | None:
    """The text, cut to what the contract takes."""
    return None if text is None else text[:MAX_TEXT]


def first(chain: list[Ancestor]) -> Ancestor:
    """The nearest of the ancestors; one of which nothing is known where there is none."""
    if chain:
        return chain[0]
    return Ancestor(pid=0, start=0, comm="", exe=None, argv=None, uid=0, side="unknown")


def unseen(path: str, who: Ancestor) -> dict[str, Missing]:
    """What is not known of the process that stands at this path of the event."""
    return {f"{path}.{name}": "unknown" for name in ("exe", "argv") if who[name] is None}


def chain_of(crossing: Crossing, event: Exec) -> tuple[Step, ...]:
    """What stands above the entry: of who moved the process, where that is another than itself or its parents."""
    reached = crossing.reached
    if reached is None or reached.by.pid in {event.head.pid, *(step.pid for step in event.ancestry)}:
        return event.ancestry
    return (reached.by, *reached.ancestry)
