# SPDX-License-Identifier: Apache-2.0
"""The processes that were there before the sensor: who they are, for ancestries that lead to them.

The kernel's events give pid, start, name and user of each ancestor, but not its command line. Taken once at
start, and bounded; `look` does the same for one process that came later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

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
        for pid in procfs.pids(proc):
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
    """One process now, None when it is gone, or waits to be as a zombie."""
    stat, status = procfs.stat(pid, proc), procfs.status(pid, proc)
    if stat is None or status is None or stat.zombie:
        return None
    argv, _ = procfs.cmdline(pid, proc) or ([], False)
    exe = procfs.exe(pid, proc)
    kept = abridged(redact(argv)[0])
    # A daemon that was upgraded under itself is still that daemon.
    program = exe.removesuffix(" (deleted)") if exe else None
    return Seen(pid, stat.ppid, stat.start, stat.comm, program, kept or None, status.uid)


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
