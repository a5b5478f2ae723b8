# SPDX-License-Identifier: Apache-2.0
"""The processes that were there before the sensor: who they are, for ancestries that lead to them.

The kernel's events give pid, start, name and user of each ancestor, but not its command line. Taken once at
start, by psutil, and bounded; `look` does the same for one process that came later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from sensor.enrich import procfs
from sensor.enrich.text import clean
from sensor.wire import MAX_ARGS

MAX_PROCESSES: Final = 32768
MAX_ARGV_CHARS: Final = 2048
"""Of one command line: enough to recognise a daemon, and bounded over all processes."""

Redact = Callable[[list[str]], tuple[list[str], bool]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One process as it was when it was looked at. None: there is none (a kernel thread), or not for us."""

    pid: int
    ppid: int
    start: int
    comm: str
    exe: str | None
    argv: list[str] | None
    uid: int


class Snapshot:
    """Processes by pid and start."""

    def __init__(self, seen: dict[int, Seen]) -> None:
        self._seen = seen

    def __len__(self) -> int:
        return len(self._seen)

    @classmethod
    def take(cls, redact: Redact, proc: Path = procfs.PROC) -> Snapshot:
        """Every process now. `redact` takes the secrets out of command lines before they are kept."""
        seen: dict[int, Seen] = {}
        for pid in psutil.pids():
            one = look(pid, redact, proc)
            if one is not None:
                seen[one.pid] = one
            if len(seen) >= MAX_PROCESSES:
                break
        return cls(seen)

    def get(self, pid: int, start: int) -> Seen | None:
        """The process, None if it was not there or is another one by now."""
        one = self._seen.get(pid)
        return one if one is not None and procfs.same_start(one.start, start) else None

    def forget(self, pid: int) -> None:
        """The process is gone; its descendants keep what was copied into their events."""
        self._seen.pop(pid, None)


def look(pid: int, redact: Redact, proc: Path = procfs.PROC) -> Seen | None:
    """One process now, None when it is gone."""
    stat = procfs.stat(pid, proc)
    if stat is None:
        return None
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            uid = process.uids().effective
            try:
                argv, exe = process.cmdline(), process.exe()
            except psutil.AccessDenied:
                argv, exe = [], ""
    except psutil.NoSuchProcess:  # a zombie counts as one
        return None
    kept = abridged(redact([clean(one) for one in argv[:MAX_ARGS]])[0])
    return Seen(pid, stat.ppid, stat.start, stat.comm, clean(exe) if exe else None, kept or None, uid)


def abridged(argv: list[str]) -> list[str]:
    """The first `MAX_ARGV_CHARS` of a command line. Redact it before: a secret's name could be cut off."""
    kept: list[str] = []
    room = MAX_ARGV_CHARS
    for argument in argv:
        if room <= 0:
            break
        kept.append(argument[:room])
        room -= len(kept[-1]) + 1
    return kept
