# SPDX-License-Identifier: Apache-2.0
"""What containers do of themselves, as bpf/ordinary.h tells it: the first of its kind, then counts.

Ring and maps are not those of entries, so that no flood of ordinary events holds up an entry.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Final

from sensor.probe.decoding import Undecodable, text
from sensor.probe.flows import address_text, protocol_name
from sensor.probe.layout import HEAD, TICK
from sensor.probe.libbpf import walk
from sensor.probe.ring import Ring

EXEC: Final = 5
CONNECT: Final = 6
KEY: Final = struct.Struct("=2I3Q")
_COUNT: Final = struct.Struct("=2Q")
_TALLY: Final = struct.Struct("=3Q")
_REST: Final = struct.Struct("=16s4I2Q")
TEXTS: Final = HEAD.size + KEY.size + _REST.size
OTHERS: Final = 0
"""In place of a mount namespace: containers that the map of tallies had no room for."""
_TELL_ALL: Final = 0
_MOST: Final = 1024
_EXE_CUT: Final = 1 << 8
_ARGV_FAULT: Final = 1 << 6


@dataclass(frozen=True, slots=True)
class Ordinary:
    """An exec or a connect (or a datagram's first send) of a container's own process, the first of its kind."""

    key: bytes
    kind: int
    mnt: int
    time: int
    pid: int
    start: int
    parent: int
    """Pid of the process that it is a child of; 0: not told."""
    parent_file: int
    """The inode of what that process ran then: it may run another program by the time that it is looked at."""
    uid: int
    comm: str
    exe: str | None
    filename: str | None
    argv: list[str] | None
    argv_cut: bool
    address: str | None
    port: int | None
    protocol: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one container since the load: all its ordinary events, those told, and those lost."""

    all: int
    told: int
    lost: int


def decode(data: bytes) -> Ordinary:
    """The event that one record of the ring holds. Raises Undecodable."""
    if len(data) < TEXTS:
        raise Undecodable(f"an ordinary event of {len(data)} bytes, {TEXTS} expected")
    kind, flags, time, _, start, _, pid, _, uid = HEAD.unpack_from(data)
    key = data[HEAD.size : HEAD.size + KEY.size]
    _, mnt, first, second, third = KEY.unpack(key)
    comm, exe_len, filename_len, argv_len, parent, total, parent_file = _REST.unpack_from(
        data, HEAD.size + KEY.size
    )
    if kind not in {EXEC, CONNECT} or TEXTS + exe_len + filename_len + argv_len > len(data):
        raise Undecodable("an ordinary event of an unknown kind, or with a length that points beyond it")
    at = TEXTS
    exe, at = data[at : at + exe_len], at + exe_len
    filename, at = data[at : at + filename_len], at + filename_len
    arguments = data[at : at + argv_len]
    connects = kind == CONNECT
    return Ordinary(
        key=key,
        kind=kind,
        mnt=mnt,
        time=time,
        pid=pid,
        start=start // TICK * TICK,
        parent=parent,
        parent_file=parent_file,
        uid=uid,
        comm=text(comm.split(b"\0", 1)[0]),
        exe=text(b"/" + b"/".join(reversed(exe.split(b"\0")[:-1]))) if exe and not flags & _EXE_CUT else None,
        filename=text(filename) if filename else None,
        argv=[text(one) for one in arguments.removesuffix(b"\0").split(b"\0")]
        if arguments and not flags & _ARGV_FAULT
        else None,
        argv_cut=total > argv_len,
        address=address_text(third >> 32, struct.pack("=2Q", first, second)) if connects else None,
        port=third & 0xFFFF if connects else None,
        protocol=protocol_name(third >> 16 & 0xFFFF) if connects else None,
    )


def mount_of(key: bytes) -> int:
    """The mount namespace that what `key` stands for was done in."""
    return int(KEY.unpack(key)[1])


def inode_of(key: bytes) -> int:
    """Of the key of an exec: the inode of the file that ran."""
    return int(KEY.unpack(key)[2])


class OrdinaryLane:
    """Reads the ring and the maps of the ordinary lane, by libbpf whichever loader made them."""

    def __init__(self, library: ctypes.CDLL, descriptor: Callable[[str], int]) -> None:
        """Raises OSError."""
        self._lib = library
        self._alike, self._tallies = descriptor("alike"), descriptor("tallies")
        self._strangers, self._switches = descriptor("strangers"), descriptor("switches")
        self._ring: Ring | None = Ring(descriptor("ordinary"))
        self._update(self._tallies, struct.pack("=I", OTHERS), bytes(_TALLY.size))

    def read(self) -> list[bytes]:
        """What waits in the ring, a bounded number; never waits itself.

        What the last call gave is on disk by then: only now may the kernel have its room.
        """
        found: list[bytes] = []
        if self._ring:
            self._ring.advance()
            self._ring.read(found.append, _MOST)
        return found

    def begin_anew(self) -> None:
        """Have each kind told again: whoever counted its like is gone."""
        for key, _ in list(self._items(self._alike, KEY.size, _COUNT.size)):
            self._lib.bpf_map_delete_elem(self._alike, key)

    def counts(self) -> Iterator[tuple[bytes, int]]:
        """Key, and how many of its like there were since the one that was told."""
        for key, value in self._items(self._alike, KEY.size, _COUNT.size):
            yield key, _COUNT.unpack(value)[0]

    def tallies(self) -> dict[int, Tally]:
        """Of each container by its mount namespace; OTHERS for those without one of their own."""
        return {
            int.from_bytes(key, "little"): Tally(*_TALLY.unpack(value))
            for key, value in self._items(self._tallies, 4, _TALLY.size)
        }

    def ignore(self, mnt: int) -> None:
        """Tell no more of this mount namespace: it is no container's."""
        self._update(self._strangers, struct.pack("=I", mnt), struct.pack("=I", 1))

    def tell_all(self, *, on: bool) -> None:
        """Tell each event and not the first of its kind alone: to measure what that costs."""
        self._update(self._switches, struct.pack("=I", _TELL_ALL), struct.pack("=I", int(on)))

    def forget(self, mounts: Set[int]) -> None:
        """These containers are gone, and their tallies and counts were read."""
        for mnt in mounts:
            self._delete(self._tallies, struct.pack("=I", mnt))
        for key in [key for key, _ in self.counts() if mount_of(key) in mounts]:
            self._delete(self._alike, key)

    def close(self) -> None:
        """Let go of the ring."""
        if self._ring:
            self._ring.advance()
            self._ring.close()
        self._ring = None

    def _items(self, descriptor: int, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
        return walk(self._lib, descriptor, key_size, value_size, 16384)

    def _delete(self, descriptor: int, key: bytes) -> None:
        self._lib.bpf_map_delete_elem(descriptor, key)

    def _update(self, descriptor: int, key: bytes, value: bytes) -> None:
        self._lib.bpf_map_update_elem(descriptor, key, value, 0)
