# SPDX-License-Identifier: Apache-2.0
"""Reads a BPF ring buffer by its memory, and says when it is done with what it read.

libbpf's own reader gives each record's room back as soon as its callback returns. Whoever is killed between
that and the disk has lost the record. Here the room is given back by `advance`, once the events are on disk.

The layout is the kernel's (kernel/bpf/ringbuf.c): a page with the consumer's position, which is ours to write,
a page with the producer's, then the data, twice in a row, so that no record has to be read in two parts. All that
is mapped counts as resident, though it is the kernel's whoever looks: so only a window of the data is mapped here,
and moved along as it is read.
A record is a header of eight bytes and its data, rounded up to eight; the header's first word is the length
with two bits for "not written yet" and "given up".
"""

from __future__ import annotations

import ctypes
import mmap
import select
import struct
import threading
from pathlib import Path
from typing import Final

from sensor.probe import Receive

PAGE: Final = mmap.PAGESIZE
_BUSY: Final = 1 << 31
_DISCARDED: Final = 1 << 30
_HEADER: Final = 8
_WINDOW: Final = 32 * PAGE
"""Bytes of the data that are mapped at once: dozens of records, and every record fits."""
_WORD: Final = struct.Struct("@I")
"""Native, so that it is one load: the kernel writes it meanwhile."""


class Ring:
    """One ring, by the descriptor of its map. One thread reads it."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError."""
        described = _described(descriptor)
        self.identity = int(described["map_id"])
        """The map's number: the kernel gives it to no other one until it boots again."""
        self._size = int(described["max_entries"])
        self._descriptor = descriptor
        self._own = mmap.mmap(descriptor, PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._theirs = mmap.mmap(descriptor, PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=PAGE)
        # One aligned store of eight bytes: the kernel reads it at any time.
        self._consumer = ctypes.c_uint64.from_buffer(self._own)
        self._view = memoryview(self._theirs)
        self._produced = self._view.cast("Q")
        self._window = self._map_window(0, _WINDOW)
        self._begins = 0
        """Where in the data the window begins."""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._fence = threading.Lock()
        self._fence.acquire()
        self.position = int(self._consumer.value)
        """Up to here it was read, in bytes since the ring was made."""

    @property
    def produced(self) -> int:
        """Up to here it was written."""
        return int(self._produced[0])

    @property
    def waiting(self) -> int:
        """Bytes that were not read yet, headers included."""
        return self.produced - self.position

    def wait(self, timeout_ms: int) -> None:
        """Until there is something to read, no longer than the timeout."""
        self._poll.poll(timeout_ms)

    def read(self, receive: Receive, most: int) -> int:
        """Hand up to `most` records that wait to `receive`; how many. What it raises ends the reading."""
        taken = 0
        # What arrives while this reads is for the next time: else a flood keeps the caller here.
        end = self.produced
        while taken < most and self.position < end:
            self._order_loads()
            begin = self.position % self._size
            at = self._within_window(begin, _HEADER)
            (length,) = _WORD.unpack_from(self._window, at)
            if length & _BUSY:
                break
            self._order_loads()
            size = length & ~_DISCARDED
            # Before `receive`: what it raises must not bring the same record again and again.
            self.position += (size + _HEADER + 7) & ~7
            if length & _DISCARDED:
                continue
            taken += 1
            at = self._within_window(begin, _HEADER + size)
            receive(self._window[at + _HEADER : at + _HEADER + size])
        return taken

    def _within_window(self, begin: int, size: int) -> int:
        """Where in the window the record is that begins there in the data, once the window reaches over it."""
        if not self._begins <= begin <= begin + size <= self._begins + len(self._window):
            left, start = self._window, begin - begin % PAGE
            self._window = self._map_window(start, max(_WINDOW, begin % PAGE + size))
            self._begins = start
            left.close()
        return begin - self._begins

    def _map_window(self, begin: int, size: int) -> mmap.mmap:
        size = min(size, 2 * self._size - begin)
        return mmap.mmap(self._descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=2 * PAGE + begin)

    def seek(self, position: int) -> bool:
        """Go on at `position`, where an earlier reader was done; False when the ring cannot be there."""
        if not self.position <= position <= self.produced:
            return False
        self.position = position
        self.advance()
        return True

    def advance(self) -> None:
        """Give back the room of all that was read: it is safe elsewhere."""
        self._order_loads()
        self._consumer.value = self.position

    def close(self) -> None:
        """Let go of the memory; the position stays with the ring."""
        for view in (self._produced, self._view):
            view.release()
        self._theirs.close()
        self._window.close()
        del self._consumer
        self._own.close()

    def _order_loads(self) -> None:
        """Release and acquire of a lock: loads before it are done before those after it, on arm64 too."""
        self._fence.release()
        self._fence.acquire()


def _described(descriptor: int) -> dict[str, str]:
    """What the kernel says of a map (bpf_map_show_fdinfo, kernel/bpf/syscall.c). Raises OSError."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
