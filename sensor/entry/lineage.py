# SPDX-License-Identifier: Apache-2.0
"""The processes above a crossing: the kernel's chain, completed from /proc while they are still there.

The kernel gives pid, start, user, name and mount namespace of each. Executable and arguments are only in
/proc, and a runtime is gone some milliseconds after its last setns: they are read when the crossing begins.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple

from sensor.enrich import procfs
from sensor.enrich.processes import Snapshot, abridged
from sensor.enrich.supervisor import of_argv
from sensor.entry.means import supervisor_index
from sensor.probe.layout import Reached, Setns, Step
from sensor.wire import Ancestor, Login

_REMEMBERED: Final = 2048
_UNSET: Final = 0xFFFFFFFF
_PID_FILE: Final = re.compile(r"/([^/]{1,128})\.pid$")

Redact = Callable[[list[str]], tuple[list[str], bool]]
Side = Literal["host", "container", "unknown"]


class Image(NamedTuple):
    """What runs in a process: its executable and its redacted arguments."""

    exe: str | None
    argv: list[str] | None


class Lineage:
    """Remembers what was learned of processes outside, for when they are gone.

    By pid, start and name: a process that executes another program keeps the first two.
    """

    def __init__(
        self,
        redact: Redact,
        side: Callable[[int], Side],
        snapshot: Snapshot,
        proc: Path = procfs.PROC,
    ) -> None:
        self._proc = proc
        self._snapshot = snapshot
        self._redact = redact
        self.side = side
        self._images: OrderedDict[tuple[int, int, str], Image] = OrderedDict()

    def look(self, pid: int, start: int, comm: str) -> Image:
        """Executable and arguments of a process that the kernel saw by this name.

        Remembered, from /proc, or as they were at the sensor's start; nothing where it is another program by
        now.
        """
        key = (pid, start, comm)
        image = self._images.get(key)
        if image is None:
            image = self._read(pid, start, comm)
            if image.exe is None and image.argv is None:
                return image
            self._images[key] = image
            if len(self._images) > _REMEMBERED:
                self._images.popitem(last=False)
        return image

    def _read(self, pid: int, start: int, comm: str) -> Image:
        now = procfs.stat_start(pid, self._proc)
        if now is None or not procfs.same_start(now, start):
            seen = self._snapshot.get(pid, start)
            return Image(seen.exe, seen.argv) if seen and seen.comm == comm else Image(None, None)
        exe, line = procfs.exe(pid, self._proc), procfs.cmdline(pid, self._proc)
        # The name last: an exec before this point shows in it.
        if procfs.comm(pid, self._proc) != comm:
            return Image(None, None)
        # In the midst of an exec there is a process of this name without any argument yet.
        return Image(exe, abridged(self._redact(line[0])[0]) if line and line[0] else None)

    def told(self, event: Setns) -> None:
        """What the kernel itself read when a crossing began: good also for processes that are gone."""
        if event.argv is not None:
            self._remember((event.head.pid, event.head.start, event.task.comm), event.exe, event.argv)
        for step in event.ancestry:
            if step.pid == event.runtime_pid and event.runtime_argv is not None:
                key = (step.pid, step.start, step.comm)
                self._remember(key, self.look(*key).exe, event.runtime_argv)

    def reached(self, event: Reached) -> None:
        """What the kernel read of who reached a container without entering it."""
        if event.argv is not None:
            self._remember((event.by.pid, event.by.start, event.by.comm), event.exe, event.argv)

    def remember(self, step: Step, exe: str | None, argv: list[str] | None) -> None:
        """What the kernel read of a process that it told of."""
        if argv is not None:
            self._remember((step.pid, step.start, step.comm), exe, argv)

    def _remember(self, key: tuple[int, int, str], exe: str | None, argv: list[str]) -> None:
        self._images[key] = Image(exe, abridged(self._redact(argv)[0]))
        if len(self._images) > _REMEMBERED:
            self._images.popitem(last=False)

    def ancestors(self, chain: tuple[Step, ...]) -> list[Ancestor]:
        """The chain as events carry it."""
        return [self.step(step) for step in chain]

    def step(self, step: Step) -> Ancestor:
        """One process of a chain, as events carry it."""
        return self.ancestor(step.pid, step.start, step.comm, step.uid, step.mnt)

    def ancestor(self, pid: int, start: int, comm: str, uid: int, mnt: int) -> Ancestor:
        """One process outside, as events carry it."""
        exe, argv = self.look(pid, start, comm)
        return Ancestor(pid=pid, start=start, comm=comm, exe=exe, argv=argv, uid=uid, side=self.side(mnt))


def entering(event: Setns, lineage: Lineage) -> Ancestor:
    """The process outside that crossed.

    The task that calls setns in a runtime runs from a sealed copy and is nameless; the runtime itself is the
    process that the supervisor started. Without a supervisor above, it is the caller; so it is for who comes
    out of another container, whose processes have a supervisor above them too.
    """
    lineage.told(event)
    chain = event.ancestry
    index = supervisor_index(chain)
    if index and all(lineage.side(step.mnt) != "container" for step in chain[:index]):
        step = chain[index - 1]
        return lineage.ancestor(step.pid, step.start, step.comm, step.uid, step.mnt)
    caller = event.task
    return lineage.ancestor(event.head.pid, event.head.start, caller.comm, caller.uid, event.home.mnt)


def exec_id(argv: list[str] | None) -> str | None:
    """The runtime's id of an exec, which docker and containerd also give in their records.

    It stands in `runc ... exec --pid-file .../<id>.pid <container>`, and after `-u` of podman's conmon.
    """
    if not argv or "exec" not in argv:
        return None
    for option, value in pairwise(argv):
        if option == "--pid-file" and (match := _PID_FILE.search(value)):
            return match.group(1)
    return None


def conmon_exec_id(ancestry: list[Ancestor]) -> str | None:
    """The id that podman gave the exec, which its own conmon for it carries. The runtime is not told it."""
    for step in ancestry:
        if step["comm"] == "conmon":
            conmon = of_argv(step["argv"] or [])
            return conmon.exec_id if conmon else None
    return None


def is_podman_exec(ancestry: list[Ancestor], container: str) -> bool:
    """Whether podman's own conmon for an exec in this container stands above, on the host's side.

    Of a container without a cgroup of its own nothing else tells podman's exec from a namespace join. Whoever
    may run podman could forge it: he might as well use podman.
    """
    for step in ancestry:
        if step["comm"] == "conmon" and step["side"] != "container":
            exe, made = step["exe"] or "", of_argv(step["argv"] or [])
            installed = exe.startswith("/usr/") and exe.rpartition("/")[2] == "conmon"
            return installed and made is not None and made.container == container and made.exec_id is not None
    return False


def login_of(uid: int, session: int, name: Callable[[int], str | None]) -> Login | None:
    """The login that a process descends from; (uid_t)-1 says that it descends from none."""
    if uid == _UNSET:
        return None
    return Login(uid=uid, user=name(uid), session=None if session == _UNSET else session)
