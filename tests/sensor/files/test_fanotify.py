# SPDX-License-Identifier: Apache-2.0
"""What is told of files goes on being heard, whatever becomes of single events."""

from __future__ import annotations

import errno
import os
import queue

import pytest

from sensor.files import fanotify
from sensor.files.fanotify import Group


class Piped(Group):
    """Reads what a test writes, in the kernel's place."""

    def open(self, flags: int = 0) -> str | None:
        self._handle, self.kernel = os.pipe()
        return None


@pytest.fixture
def said():
    return queue.Queue()


@pytest.fixture
def group(said):
    made = Piped("test", said.put, said.put)
    made.open()
    made.start()
    yield made
    made.close()
    os.close(made.kernel)


def test_an_event_whose_file_cannot_be_opened_is_counted_and_ends_nothing(group, said, monkeypatch):
    read, failing = os.read, [OSError(errno.ENXIO, "no such device or address")]

    def once(handle, size):
        data = read(handle, size)
        if failing:
            raise failing.pop()
        return data

    monkeypatch.setattr(fanotify.os, "read", once)
    os.write(group.kernel, b"first")
    assert said.get(timeout=60) == "files.unread"
    os.write(group.kernel, b"second")
    assert said.get(timeout=60) == b"second"
