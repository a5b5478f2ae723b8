# SPDX-License-Identifier: Apache-2.0
"""Who connected to a daemon's unix socket, decoded: the twin of struct event_contact in bpf/event.h."""

from __future__ import annotations

import ctypes
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from sensor.probe.decoding import (
    Undecodable,
    argv_in,
    exe_in,
    read_ancestry,
    read_facts,
    read_head,
    text,
    texts_in,
)
from sensor.probe.layout import ANCESTRY_SIZE, FACTS, HEAD, Facts, Head, Kind, Step

LISTENING: Final = struct.Struct("=Q2I")
_SOCKET_LEN: Final = 112
_REST: Final = struct.Struct(f"=Q2IQ{_SOCKET_LEN}s")
CONTACT_TASK: Final = HEAD.size + LISTENING.size + _REST.size
CONTACT_TEXTS: Final = CONTACT_TASK + FACTS.size + ANCESTRY_SIZE
MAX_DAEMONS: Final = 64
"""Daemons' sockets that are remembered; those that were used last."""
_KIND: Final = struct.pack("=I", Kind.CONTACT)
_STRANGER: Final = struct.pack("=I", 1)
_DAEMON: Final = struct.pack("=I", 2)


class Listening(NamedTuple):
    """struct listening: the file that a socket is bound to, and the process that listens."""

    inode: int
    device: int
    """As the kernel numbers it, see `device`."""
    pid: int


@dataclass(frozen=True, slots=True)
class Contact:
    """A task connected to a unix socket. The head and the rest are of the task."""

    head: Head
    listening: Listening
    connects: int
    """This one, and those of the process to the socket since it was told last; 0: told for its time alone."""
    socket: str
    """The path that the socket was bound to, in the words of who bound it."""
    task: Facts
    ancestry: tuple[Step, ...]
    exe: str | None
    argv: list[str] | None
    argv_cut: bool


def device(major: int, minor: int) -> int:
    """A device's number as the kernel keeps it (MKDEV in linux/kdev_t.h); stat(2) packs it another way."""
    return major << 20 | minor


def is_contact(data: bytes) -> bool:
    """Whether a record of the ring is one of these."""
    return data.startswith(_KIND)


def decode(data: bytes) -> Contact:
    """The contact that a record holds. Raises Undecodable."""
    if len(data) < CONTACT_TEXTS:
        raise Undecodable(f"CONTACT of {len(data)} bytes, {CONTACT_TEXTS} expected")
    head = read_head(data)
    listening = Listening._make(LISTENING.unpack_from(data, HEAD.size))
    connects, exe_len, argv_len, total, socket = _REST.unpack_from(data, HEAD.size + LISTENING.size)
    exe, argv = texts_in(data, CONTACT_TEXTS, exe_len, argv_len)
    return Contact(
        head,
        listening,
        connects,
        text(socket.split(b"\0", 1)[0]),
        read_facts(data, CONTACT_TASK),
        read_ancestry(data, CONTACT_TASK + FACTS.size),
        exe=exe_in(exe, head),
        argv=argv_in(argv, head),
        argv_cut=total > argv_len,
    )


class Listeners:
    """Tells the kernel who listens, by libbpf whichever loader made the map."""

    def __init__(self, library: ctypes.CDLL, descriptor: Callable[[str], int]) -> None:
        self._lib = library
        self._map = descriptor("listeners")
        self._daemons: OrderedDict[Listening, None] = OrderedDict()

    @property
    def daemons(self) -> list[Listening]:
        """Those that were settled as daemons', the latest first."""
        return list(reversed(self._daemons))

    def settle(self, listening: Listening, *, daemon: bool) -> None:
        """Whether it is a daemon: a stranger's connects are not told any more, a daemon's have their own budget."""
        self._daemons.pop(listening, None)
        if daemon:
            self._daemons[listening] = None
            if len(self._daemons) > MAX_DAEMONS:
                self._daemons.popitem(last=False)
        key = LISTENING.pack(*listening)
        self._lib.bpf_map_update_elem(self._map, key, _DAEMON if daemon else _STRANGER, 0)
