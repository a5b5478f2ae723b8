# SPDX-License-Identifier: Apache-2.0
"""Who is connected to a daemon: asked of the kernel by the daemon's own sockets.

The kernel notes who calls connect(2) on a unix socket (SO_PEERCRED, unix(7)); nobody can write that. A copy of the
daemon's descriptor is taken (pidfd_getfd(2), Linux 5.6), asked, and closed at once: nothing is read from it.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

MAX_FDS: Final = 2048
"""Descriptors of one daemon that are looked at."""
_PIDFD_GETFD: Final = 438
"""Alike on every architecture: it came after the numbers were made one."""
_CREDENTIALS: Final = struct.Struct("3i")
_libc: Final = ctypes.CDLL(None, use_errno=True)


class RefusedError(OSError):
    """The daemon's sockets cannot be asked."""


@dataclass(frozen=True, slots=True)
class Held:
    """A connection that a daemon has now."""

    inode: str
    """Of the daemon's end."""
    path: str
    """Of the socket that it came by."""
    pid: int
    """Who connected; it may be gone while another holds the connection."""
    uid: int


class Peers:
    """The connections of one daemon, each asked of once."""

    def __init__(self, pid: int, proc: Path = procfs.PROC) -> None:
        self.pid = pid
        self._proc = proc
        self._known: dict[str, Held | None] = {}

    def now(self) -> list[Held]:
        """Its connections from unix sockets that have a path. Raises RefusedError; none when it is gone."""
        found: dict[str, Held | None] = {}
        asked = None
        try:
            for number, inode in self._descriptors():
                if inode in self._known:
                    found[inode] = self._known[inode]
                    continue
                if asked is None:
                    asked = os.pidfd_open(self.pid)
                found[inode] = _ask(asked, number, inode)
        except ProcessLookupError:
            return []
        except OSError as error:
            raise RefusedError(error.errno, os.strerror(error.errno or 0)) from error
        finally:
            if asked is not None:
                os.close(asked)
        self._known = found
        return [held for held in found.values() if held is not None]

    def _descriptors(self) -> Iterator[tuple[int, str]]:
        folder = self._proc / str(self.pid) / "fd"
        with os.scandir(folder) as entries:
            for _, entry in zip(range(MAX_FDS), entries, strict=False):
                try:
                    link = os.readlink(entry.path)  # noqa: PTH115 - no path
                except FileNotFoundError:
                    continue
                if link.startswith("socket:["):
                    yield int(entry.name), link[8:-1]


def maker(pid: int, descriptor: int) -> int | None:
    """Who made the pair of sockets of which a process holds one end; None where that cannot be told."""
    try:
        asked = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        copied = _libc.syscall(_PIDFD_GETFD, asked, descriptor, 0)
    finally:
        os.close(asked)
    if copied < 0:
        return None
    with socket.socket(fileno=copied) as end:
        if end.family != socket.AF_UNIX:
            return None
        made, _, _ = _credentials(end)
    return made if made > 0 else None


def _credentials(end: socket.socket) -> tuple[int, int, int]:
    """Pid, uid and gid, by the kernel."""
    found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(found)
    return pid, uid, gid


def _ask(pidfd: int, number: int, inode: str) -> Held | None:
    """What the kernel says of one socket; None of one that is no unix connection, or gone. Raises OSError."""
    ctypes.set_errno(0)
    copied = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if copied < 0:
        error = ctypes.get_errno()
        if error == 9:  # EBADF: closed meanwhile
            return None
        raise OSError(error, os.strerror(error))
    with socket.socket(fileno=copied) as end:
        if end.family != socket.AF_UNIX or end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        watched = select.poll()
        watched.register(end, select.POLLRDHUP)
        if watched.poll(0):
            return None  # nobody is at the other end any more
        path = end.getsockname()
        pid, uid, _ = _credentials(end)
    # One that the daemon itself connected elsewhere has no path of its own, nor has a pair of sockets.
    if not isinstance(path, str) or not path or pid <= 0:
        return None
    return Held(inode, path, pid, uid)
