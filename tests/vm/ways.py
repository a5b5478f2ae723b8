# SPDX-License-Identifier: Apache-2.0
"""The ways into a container that fit an emulated computer. A newcomer adds a line to WAYS.

Run as a program, it goes in by setns itself: python -m tests.vm.ways HOW PID COMMAND...
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.vm.container import Container

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUTS, NEWIPC, NEWNET, FS = 0x20000, 0x4000000, 0x8000000, 0x40000000, 0x200


@dataclass(frozen=True)
class Way:
    """What is done, and what the entry must say."""

    act: Callable[[Container], object]
    namespaces: tuple[str, ...] | None
    """None for all that are the container's own."""
    means: str = "ns-join"
    verdict: str = "ns-only"


def _nsenter(*options: str) -> Callable[[Container], object]:
    return lambda container: subprocess.run(
        ["nsenter", "-t", str(container.pid), *options, "/bin/true"], check=True
    )


def _setns(how: str) -> Callable[[Container], object]:
    return lambda container: subprocess.run(
        [sys.executable, "-m", "tests.vm.ways", how, str(container.pid), "/bin/true"], check=True
    )


WAYS: Final = {
    "nsenter -a": Way(_nsenter("-a"), None),
    "nsenter -m": Way(_nsenter("-m"), ("mnt",)),
    "nsenter -m -p": Way(_nsenter("-m", "-p"), ("mnt", "pid")),
    "nsenter -m -p -F": Way(_nsenter("-m", "-p", "-F"), ("mnt", "pid")),
    "nsenter -n": Way(_nsenter("-n"), ("net",)),
    "setns, no type": Way(_setns("file"), ("mnt",)),
    "setns, pidfd": Way(_setns("pidfd"), ("ipc", "mnt", "net", "uts")),
    "setns in a thread": Way(_setns("thread"), ("mnt",)),
    "setns, 32-bit": Way(_setns("32-bit"), ("mnt",)),
    "runc exec": Way(lambda container: container.exec("true"), None, "runc-exec", "both"),
}
BRIEF: Final = ("nsenter -a", "setns, pidfd", "setns, 32-bit")
"""What is tried with a hook that is not the best one."""


def _join(handle: int, flags: int) -> None:
    if _LIBC.setns(handle, flags):
        raise OSError(ctypes.get_errno(), "setns")


def _join_32(handle: int, flags: int) -> None:
    """By the system call table of 32-bit programs, which the kernel lets a 64-bit one use as well."""
    code = bytes.fromhex("53 b85a010000 89fb 89f1 cd80 5b c3")  # push rbx; eax=346; int 0x80
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)(address)(handle, flags)
    if result:
        raise OSError(-result, "setns, 32-bit")


def _in_thread(handle: int, command: list[str]) -> None:
    """The process stays outside: only this thread, which must not share its root directory, goes in."""

    def enter() -> None:
        assert _LIBC.unshare(FS) == 0
        _join(handle, NEWNS)
        subprocess.run(command, check=True, cwd="/")

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()


def _main(how: str, pid: int, command: list[str]) -> None:
    opened = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    match how:
        case "file":
            _join(opened, 0)
        case "pidfd":
            _join(os.pidfd_open(pid), NEWNS | NEWUTS | NEWIPC | NEWNET)
        case "32-bit":
            _join_32(opened, NEWNS)
        case "thread":
            _in_thread(opened, command)
            return
        case _:
            raise ValueError(how)
    os.execv(command[0], command)  # noqa: S606 - in place, as nsenter -F does


def entry_problem(entry: dict[str, Any], way: Way, container: Container) -> str | None:
    """What an entry does not say as it must."""
    namespaces = container.own_namespaces() if way.namespaces is None else list(way.namespaces)
    wanted = {"means": way.means, "verdict": way.verdict, "namespaces": namespaces}
    wrong = {name: entry[name] for name, value in wanted.items() if entry[name] != value}
    return f"{wrong} and not {wanted}" if wrong else None


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[2])
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
