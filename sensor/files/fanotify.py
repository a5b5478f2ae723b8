# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of files by fanotify(7), read by a thread of its own."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import threading
from collections.abc import Callable
from typing import Final

METADATA: Final = struct.Struct("=IBBHQii")
"""struct fanotify_event_metadata, of linux/fanotify.h."""
MARK_ADD: Final = 0x1
_CLOEXEC, _NONBLOCK, _AT_FDCWD = 0x1, 0x2, -100


class Group:
    """One group of marks: `open` it, `mark` what is to be told of, `start` to listen, `close` it."""

    def __init__(self, name: str, take: Callable[[bytes], None], count: Callable[[str], None]) -> None:
        """`take` is called with the events of one read, on the thread `name`."""
        self._take = take
        self._count = count
        self._handle = -1
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_open(self) -> bool:
        """Whether the kernel gave one."""
        return self._handle >= 0

    def open(self, flags: int = 0) -> str | None:
        """Why the kernel gives none; None: it does."""
        flags |= _CLOEXEC | _NONBLOCK
        self._handle = self._libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC)
        return None if self.is_open else os.strerror(ctypes.get_errno())

    def mark(self, flags: int, events: int, path: str) -> str | None:
        """Why it refuses to tell of these events at `path`; None: it will."""
        mask = ctypes.c_uint64(events)
        if self._libc.fanotify_mark(self._handle, flags, mask, _AT_FDCWD, os.fsencode(path)) == 0:
            return None
        return os.strerror(ctypes.get_errno())

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()

    def drop(self) -> None:
        """Give it back, before it was started."""
        os.close(self._handle)
        self._handle = -1

    def close(self) -> None:
        """End it."""
        os.write(self._stop[1], b"x")
        if self._thread.ident is not None:
            self._thread.join()
        for handle in (*self._stop, self._handle):
            if handle >= 0:
                os.close(handle)
        self._handle = -1

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._handle, self._stop[0]], [], [])
            if self._stop[0] in ready:
                return
            try:
                data = os.read(self._handle, 65536)
            except BlockingIOError:
                continue
            except OSError as error:
                # What was written to cannot be opened: told in the event's place, which is gone then.
                if error.errno == errno.EBADF:
                    raise
                self._count("files.unread")
                continue
            self._take(data)
