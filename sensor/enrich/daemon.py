# SPDX-License-Identifier: Apache-2.0
"""A daemon's unix socket: connecting to it, with one deadline for all that is asked and answered there.

A daemon can hang, send without end, or be somebody else's program.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

TIMEOUT_S: Final = 2.0

_SUN_PATH: Final = 107
"""Longest path of a unix socket, without its NUL (unix(7))."""


class AwayError(Exception):
    """The daemon cannot be reached."""


class HungError(AwayError):
    """The daemon took the question and gave no whole answer in time."""


class UnexpectedError(Exception):
    """Something answered that is not the API, or with more than is read."""


def away(path: str, error: OSError) -> AwayError:
    """What a failed call of a socket says about the daemon behind `path`."""
    kind = HungError if isinstance(error, TimeoutError) else AwayError
    return kind(f"{path} does not answer: {error}")


class DeadlineSocket(socket.socket):
    """A socket whose reads together end at one moment; a plain timeout begins anew with every byte."""

    deadline: float = 0.0

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """As of socket.socket. Raises TimeoutError once the deadline has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole answer in time")
        self.settimeout(left)
        return super().recv_into(buffer, nbytes, flags)


def connect(path: str, deadline: float) -> DeadlineSocket:
    """A connection to the socket at `path` that ends at `deadline`, monotonic seconds. Raises OSError."""
    connected = DeadlineSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.deadline = deadline
    connected.settimeout(max(0.001, deadline - time.monotonic()))
    try:
        with _short(path) as short:
            connected.connect(short)
    except OSError:
        connected.close()
        raise
    return connected


def peer_uid(connected: socket.socket) -> int:
    """The uid that listens at the other end: SO_PEERCRED of unix(7)."""
    _, uid, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """A path to the same socket that fits into sockaddr_un."""
    if len(os.fsencode(path)) <= _SUN_PATH:
        yield path
        return
    folder = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)
