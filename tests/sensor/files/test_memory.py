# SPDX-License-Identifier: Apache-2.0
"""Writes to a process' memory by its file go on being heard, whatever becomes of single events."""

from __future__ import annotations

import errno
import os
import struct
import threading

import pytest

from sensor.files import memory
from sensor.files.memory import MemoryWrites


class Piped(MemoryWrites):
    """Reads what a test writes, in the kernel's place."""

    def _open(self) -> bool:
        self._handle, self.kernel = os.pipe()
        self._thread.start()
        return True


@pytest.fixture
def counted():
    return []


@pytest.fixture
def writes(counted):
    told = threading.Event()

    def count(name: str) -> None:
        counted.append(name)
        told.set()

    heard = Piped(count)
    heard.told = told
    heard.serve({"mem_write": "none (as a test says)"})
    yield heard
    heard.close()
    os.close(heard.kernel)


def lost() -> bytes:
    """The kernel's word that its queue was full, linux/fanotify.h."""
    return struct.pack("=IBBHQii", 24, 3, 0, 24, 0x4000, -1, 0)


def test_an_event_whose_file_cannot_be_opened_is_counted_and_ends_nothing(writes, counted, monkeypatch):
    read, failing = os.read, [OSError(errno.ENXIO, "no such device or address")]

    def once(handle, size):
        data = read(handle, size)
        if failing:
            raise failing.pop()
        return data

    monkeypatch.setattr(memory.os, "read", once)
    os.write(writes.kernel, lost())
    assert writes.told.wait(60)
    writes.told.clear()
    os.write(writes.kernel, lost())
    assert writes.told.wait(60)
    assert counted == ["files.memory_unread", "files.memory_lost"]
    assert writes.take() == []
