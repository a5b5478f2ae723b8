# SPDX-License-Identifier: Apache-2.0
"""What the lab needs of this host, and gives back: privilege, tracefs, and being the only one of its kind."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vagrant.local.service import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACEFS: Final = Path("/sys/kernel/tracing")
PORT_S: Final = 10
"""How long a port may stay taken by what a killed run left ending."""


def folder() -> Path:
    """Where state and logs go: var/, or the folder that NSENTRY_LAB names."""
    return Path(os.environ.get("NSENTRY_LAB", "var"))


def port(variable: str, default: int) -> int:
    """The port that an environment variable names. LabError when that is none."""
    text = os.environ.get(variable, str(default))
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise LabError(f"{variable} is {text!r}: a port from 1 to 65535 was expected")
    return int(text)


def require_root() -> None:
    """LabError unless root: BPF programs need it, and so does tracefs."""
    if os.geteuid() != 0:
        raise LabError("loading BPF programs needs root: run this as root, or with sudo")


@contextmanager
def only_one(lock: Path, what: str) -> Iterator[None]:
    """Hold `lock` as long as this process lives. LabError with the other's pid when it is held."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise LabError(f"{what} already runs here (pid {pid}): stop that one with Ctrl-C first") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def tracefs() -> Iterator[None]:
    """See to it that tracefs is there for the tracepoints; unmount it if nobody had mounted it before.

    Several labs may run at once: each holds a shared lock, and who mounted it leaves it to who still does.
    """
    users = os.open(TRACEFS.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield from _mounted(users)
    finally:
        os.close(users)


def _mounted(users: int) -> Iterator[None]:
    mounted = not (TRACEFS / "events").is_dir()
    if mounted:
        done = subprocess.run(
            ["mount", "-t", "tracefs", "none", TRACEFS], check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise LabError(f"tracefs cannot be mounted on {TRACEFS}: {done.stderr.strip()}")
    try:
        yield
    finally:
        if mounted:
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                subprocess.run(["umount", TRACEFS], check=False, capture_output=True)


@contextmanager
def docker_cgroups() -> Iterator[None]:
    """Remove the empty parent groups that a Docker daemon leaves, if there were none before it."""
    before = set(_docker_cgroups())
    try:
        yield
    finally:
        for group in set(_docker_cgroups()) - before:
            with suppress(OSError):  # in use: another daemon has come since
                group.rmdir()


def _docker_cgroups() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [*root.glob("docker"), *root.glob("*/docker")]


def require_port(number: int) -> None:
    """LabError when another program listens on the port of this host, and goes on doing so."""
    deadline = time.monotonic() + PORT_S
    while _listens(number):
        if time.monotonic() > deadline:
            raise LabError(f"port {number} of this host is in use: NSENTRY_PORT=NUMBER chooses another")
        time.sleep(0.2)


def _listens(number: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", number)) == 0


@contextmanager
def foreground() -> Iterator[None]:
    """Take the terminal's Ctrl-C for ourselves alone.

    `make` gets it too otherwise, and calls a clean end "Interrupt" with an exit code of its own.
    """
    if not (sys.stdin.isatty() and os.tcgetpgrp(0) == os.getpgrp()):
        yield
        return
    before = os.getpgrp()
    # Who is not in the foreground is stopped for changing it, unless it ignores this.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, before)
