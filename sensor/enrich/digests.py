# SPDX-License-Identifier: Apache-2.0
"""Digests of the files that containers run: SHA-256, in a thread of its own, bounded in size, number and rate.

A digest is told of a file that is certainly the one that ran, or not at all: unknown is not different. The file is
opened through /proc/PID/exe while its process runs, else by its path below the container's root, and must then
have the inode that the kernel told and no change (ctime, which nobody can set) since it was run.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

_log: Final = logging.getLogger(__name__)

MAX_SIZE: Final = 64 * 1024 * 1024
"""Of one file, in bytes; a larger one is counted, and stays unknown."""
RATE: Final = 16 * 1024 * 1024
"""Bytes a second, over time: some hundredths of a core while there is something to read."""
MAX_WAITING: Final = 512
"""Files that wait to be read; more are counted, and asked for again when they run again."""
MAX_KEPT: Final = 4096
"""Digests that are held in memory, by device, inode, size and times."""
_CHUNK: Final = 256 * 1024
_IDLEST: Final = 19
"""The nice value of the thread: whatever else wants the processor goes first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A program that a container ran, as the kernel told it."""

    key: bytes
    """Comes back with the answer."""
    pid: int
    start: int
    """As `procfs.same_start` compares it."""
    path: str
    """As the container would name it."""
    root: int
    """A process that stands in the container's root, its first."""
    inode: int
    at: int
    """When it ran: nanoseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found. `digest` None: the file that ran cannot be read any more, or is too large."""

    key: bytes
    digest: str | None


class Digests:
    """Reads files in its own time. `ask` and `answers` never wait."""

    def __init__(self, count: Callable[[str], None], proc: Path = procfs.PROC) -> None:
        self._count = count
        self._proc = proc
        self._asked: queue.Queue[Asked | None] = queue.Queue(MAX_WAITING)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._kept: OrderedDict[tuple[int, ...], str] = OrderedDict()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="digests", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        """Ends soon; what waits is let go of."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._asked.put_nowait(None)

    def ask(self, asked: Asked) -> bool:
        """Have a file read. False: too many wait, and it was counted."""
        try:
            self._asked.put_nowait(asked)
        except queue.Full:
            self._count("digest.too_many")
            return False
        return True

    def answers(self) -> list[Answer]:
        """What was found since the last call."""
        found: list[Answer] = []
        while True:
            try:
                found.append(self._answers.get_nowait())
            except queue.Empty:
                return found

    def _run(self) -> None:
        # Of the calling thread alone, on Linux.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _IDLEST)
        while not self._closing.is_set():
            asked = self._asked.get()
            if asked is not None:
                self._answers.put(Answer(asked.key, self.look(asked)))

    def look(self, asked: Asked) -> str | None:
        """The digest of the file that ran, as 64 hex digits; None where it is not known, and counted why."""
        try:
            handle = self._open(asked)
        except OSError as error:
            _log.debug("no digest of %s: %s", asked.path, error)
            self._count("digest.unreadable")
            return None
        try:
            return self._digest(handle, asked)
        except OSError as error:
            _log.debug("no digest of %s: %s", asked.path, error)
            self._count("digest.unreadable")
            return None
        finally:
            os.close(handle)

    def _open(self, asked: Asked) -> int:
        """The file that the process runs, else the one that stands at its path. Raises OSError."""
        folder = self._proc / str(asked.pid)
        try:
            handle = os.open(folder / "exe", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return self._standing(asked)
        known = procfs.stat(asked.pid, self._proc)
        # Of an overlay over several file systems the kernel's inode is not the one that stat(2) tells.
        if (
            known is not None
            and procfs.same_start(known.start, asked.start)
            and (os.fstat(handle).st_ino == asked.inode or procfs.exe(asked.pid, self._proc) == asked.path)
        ):
            return handle
        os.close(handle)  # the number is another's by now, or it runs something else
        return self._standing(asked)

    def _standing(self, asked: Asked) -> int:
        handle = below(self._proc / str(asked.root) / "root", asked.path)
        if os.fstat(handle).st_ino != asked.inode:
            os.close(handle)
            raise FileNotFoundError(f"another file stands at {asked.path}")
        return handle

    def _digest(self, handle: int, asked: Asked) -> str | None:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_ctime_ns > asked.at:
            self._count("digest.changed")
            return None
        if found.st_size > MAX_SIZE:
            self._count("digest.too_large")
            return None
        key = _identity(found)
        digest = self._kept.pop(key, None)
        if digest is None:
            digest = self._read(handle)
            if digest is None or _identity(os.fstat(handle)) != key:
                self._count("digest.changed")
                return None
        self._kept[key] = digest
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return digest

    def _read(self, handle: int) -> str | None:
        """All of it, no faster than RATE. None: it grew beyond the bound, or the sensor ends."""
        made, size = hashlib.sha256(), 0
        while chunk := os.read(handle, _CHUNK):
            size += len(chunk)
            if size > MAX_SIZE or self._closing.is_set():
                return None
            made.update(chunk)
            self._closing.wait(len(chunk) / RATE)
        self._count("digest.read")
        return made.hexdigest()


def below(root: Path, path: str) -> int:
    """Opens a file by a path without links, never leaving `root`: what stands there is the container's. OSError."""
    *folders, name = [part for part in path.split("/") if part]
    if ".." in (*folders, name):
        raise FileNotFoundError(path)
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            following = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = following
        return os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=at
        )
    finally:
        os.close(at)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
