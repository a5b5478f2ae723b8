# SPDX-License-Identifier: Apache-2.0
"""Who wrote in the watched folders, by the kernel's word: fanotify(7), which names the process.

A thread of its own looks at the process at once, for `sed -i` is gone a moment later. Needs CAP_SYS_ADMIN and a
kernel of 5.9 (FAN_REPORT_DFID_NAME); without them files are watched all the same, and who wrote is not known.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.files.fanotify import MARK_ADD, METADATA, Group
from sensor.probe.layout import Step
from sensor.who.callers import Told

KEPT_S: Final = 10.0
MAX_KEPT: Final = 256
_MAX_ABOVE: Final = 16
_REPORT_DIR_FID, _REPORT_NAME, _MARK_ONLYDIR = 0x400, 0x800, 0x8
_ATTRIB, _CLOSE_WRITE, _MOVED, _CREATE, _DELETE, _ON_CHILD = 0x4, 0x8, 0xC0, 0x100, 0x200, 0x08000000
_EVENTS: Final = _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE | _DELETE | _ON_CHILD
_INFO: Final = struct.Struct("=BBH8xIi")
_DFID_NAME: Final = 2
_UNSET: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that wrote, as it was when the kernel told of it."""

    step: Step
    told: Told
    exe: str | None
    argv: list[str] | None


@dataclass(frozen=True, slots=True)
class Touch:
    """One write. `writer` None: it was gone before it could be looked at."""

    name: str
    """Of the file, without its folder."""
    at: float
    pid: int
    writer: Writer | None


class Touches:
    """The latest writes. `open` it, `watch` folders, `close` it."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self.refused: str | None = "it was not asked"
        """Why the kernel does not tell who writes; None: it does."""
        self.woken = threading.Event()
        """Something was written since it was cleared last."""
        self._marked: dict[str, int] = {}
        self._latest: deque[Touch] = deque(maxlen=MAX_KEPT)
        self._seen: OrderedDict[int, Writer | None] = OrderedDict()
        self._group = Group("files", self._read, count)

    def open(self) -> None:
        """Ask the kernel, and begin to listen."""
        refused = self._group.open(_REPORT_DIR_FID | _REPORT_NAME)
        self.refused = f"fanotify: {refused}" if refused else None
        if not refused:
            self._group.start()

    def watch(self, folders: Iterable[str]) -> None:
        """Have the kernel tell of writes in these folders, besides those before."""
        for folder in folders if self._group.is_open else ():
            try:
                inode = os.stat(folder).st_ino  # noqa: PTH116 - text in
            except OSError:
                continue
            if self._marked.get(folder) == inode:
                continue
            if self._group.mark(MARK_ADD | _MARK_ONLYDIR, _EVENTS, folder) is None:
                self._marked[folder] = inode

    def of(self, path: str) -> Touch | None:
        """The latest write to a file, by its name; None where none was told."""
        name, since = Path(path).name, time.monotonic() - KEPT_S
        return next(
            (each for each in reversed(list(self._latest)) if each.name == name and each.at >= since), None
        )

    def close(self) -> None:
        """End it."""
        self._group.close()

    def _read(self, data: bytes) -> None:
        for name, pid in events(data):
            self._latest.append(Touch(name, time.monotonic(), pid, self._look(pid)))
        self.woken.set()

    def _look(self, pid: int) -> Writer | None:
        """The process, looked at once while it writes."""
        known = self._seen.get(pid)
        start = procfs.stat_start(pid)
        if known is not None and (start is None or procfs.same_start(start, known.step.start)):
            return known
        self._seen[pid] = found = None if start is None else look(pid)
        if len(self._seen) > MAX_KEPT:
            self._seen.popitem(last=False)
        return found


def events(data: bytes) -> Iterator[tuple[str, int]]:
    """Name and pid of each event in what was read (fanotify(7)); what cannot be read is passed by."""
    at = 0
    while at + METADATA.size <= len(data):
        length, _version, _reserved, size, _mask, _fd, pid = METADATA.unpack_from(data, at)
        if length < METADATA.size:
            return
        info = data[at + size : at + length]
        at += length
        if len(info) < _INFO.size:
            continue
        kind, _pad, told, handle, _type = _INFO.unpack_from(info)
        if kind == _DFID_NAME and pid > 0:
            name = info[_INFO.size + handle : told].split(b"\0", 1)[0]
            yield name.decode("utf-8", "backslashreplace"), pid


def look(pid: int) -> Writer | None:
    """A process as it is now, with those above it; None when it is gone."""
    step = _step(pid)
    if step is None:
        return None
    known, login, here = procfs.cmdline(pid), procfs.login(pid), procfs.stat(pid)
    above: list[Step] = []
    last = pid
    while len(above) < _MAX_ABOVE and (parent := procfs.parent(last)):
        found = _step(parent)
        if found is None:
            break
        above.append(found)
        last = parent
    uid = login["uid"] if login else _UNSET
    session = login["session"] if login and login["session"] is not None else _UNSET
    told = Told(uid, session, here.tty if here else None, tuple(above))
    return Writer(step, told, procfs.exe(pid), known[0] if known else None)


def _step(pid: int) -> Step | None:
    here, status = procfs.stat(pid), procfs.status(pid)
    if here is None or status is None:
        return None
    return Step(here.start, pid, status.uid, procfs.namespace(pid, "mnt") or 0, _UNSET, here.comm)
