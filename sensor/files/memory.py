# SPDX-License-Identifier: Apache-2.0
"""Who writes to the memory of a container's process by its file in /proc, where no program of ours can see it.

Without fentry and kprobes nothing of BPF is called there. fanotify(7) is: it tells of each write to a file of the
host's /proc, which are few, and of nothing that is only read. Another mount of the same processes' /proc, as a
container has, is another file system, of which it tells nothing. A thread of its own looks at the writer at once.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from sensor.enrich import procfs
from sensor.files.fanotify import MARK_ADD, METADATA, Group
from sensor.files.touches import Writer, look
from sensor.probe.layout import Facts, Flag, Head, How, Kind, NsSet, Reached, Step

HOOK: Final = "mem_write"
MAX_WAITING: Final = 256
"""Writes that wait for the sensor's loop; more are not told, and counted."""
MAX_KNOWN: Final = 4096
"""Pairs of writer and written to that were told: each is told once."""
_MARK_FILESYSTEM: Final = 0x100
_MODIFY, _OVERFLOW = 0x2, 0x4000
_UNSET: Final = 0xFFFFFFFF
_MEMORY: Final = re.compile(r"/([0-9]+)(?:/task/[0-9]+)?/mem\Z", re.ASCII)


class MemoryWrites:
    """`serve` where the hook is missing, `take` what was written, `close` it."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._waiting: deque[Reached] = deque()
        self._known: OrderedDict[tuple[int, int, int, int], None] = OrderedDict()
        self._group = Group("memory", self._read, count)

    def serve(self, hooks: dict[str, str]) -> None:
        """Begin, unless a program serves; says so in the hook's place in `hooks`."""
        served = hooks.get(HOOK, "")
        if not served.startswith("none"):
            return
        refused = None if self._group.is_open else self._open()
        if refused:
            hooks[HOOK] = f"{served}; fanotify: {refused}"
            return
        hooks[HOOK] = f"fanotify {procfs.PROC}{served.removeprefix('none')}"

    def take(self) -> list[Reached]:
        """What was written to since the last call, each once for two processes."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def close(self) -> None:
        """End it."""
        self._group.close()

    def _open(self) -> str | None:
        refused = self._group.open()
        if refused:
            return refused
        refused = self._group.mark(MARK_ADD | _MARK_FILESYSTEM, _MODIFY, str(procfs.PROC))
        if refused:
            self._group.drop()
        else:
            self._group.start()
        return refused

    def _read(self, data: bytes) -> None:
        for writer, written in self._pairs(data):
            self._note(writer, written)

    def _pairs(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Who wrote, and to whose memory, of each event in what was read."""
        at = 0
        while at + METADATA.size <= len(data):
            length, _version, _reserved, _size, mask, file, pid = METADATA.unpack_from(data, at)
            if length < METADATA.size:
                return
            at += length
            if mask & _OVERFLOW:
                self._count("files.memory_lost")
            if file < 0:  # it may not be opened, as what can only be written
                continue
            name = os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115 - a name, not a file
            os.close(file)
            found = _MEMORY.search(name)
            if found and pid > 0:
                yield pid, int(found[1])

    def _note(self, writer: int, written: int) -> None:
        starts = procfs.stat_start(writer) or 0, procfs.stat_start(written)
        mnt = procfs.namespace(written, "mnt")
        if starts[1] is None or mnt in {None, procfs.namespace(os.getpid(), "mnt")}:
            return
        pair = (writer, starts[0], written, starts[1])
        who = look(writer)
        if pair in self._known or (who and who.step.mnt == mnt):
            return
        self._known[pair] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        if who is None:
            # Gone already: that it was written to is known, and not by whom.
            self._count("files.memory_unseen")
        if len(self._waiting) >= MAX_WAITING:
            self._count("files.memory_lost")
            return
        self._waiting.append(_reached(writer, who, written))


def _reached(pid: int, who: Writer | None, written: int) -> Reached:
    """What the kernel's programs tell of process_vm_writev: of the writer, and the number of the other one."""
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    step = replace(who.step, login_uid=who.told.login_uid) if who else Step(0, pid, 0, 0, _UNSET, "")
    own = procfs.namespace(os.getpid(), "pid") or 0
    here = NsSet(0, 0, step.mnt, 0, own, own, 0, 0, 0, 0)
    facts = Facts(here, 0, 0, step.uid, 0, step.login_uid, _UNSET, 0, 0, pid, step.mnt, step.comm, "", "")
    head = Head(Kind.REACHED, Flag(0), now, now, step.start, pid, pid, 0, step.uid)
    if who is None:
        return Reached(head, How.WRITE, 0, written, step, facts, (), None, None)
    return Reached(head, How.WRITE, 0, written, step, facts, who.told.above, who.exe, who.argv)
