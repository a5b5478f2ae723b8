# SPDX-License-Identifier: Apache-2.0
"""What the user of a process is called on its side of the door.

The host's names are true on the host alone: its uid 1000 is somebody else's in a container. The container's own
passwd is its own text, and might call any number "root". So inside one name is given, to the number that is
root there: 0, or what 0 is mapped to in a user namespace of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from sensor.enrich import inside, procfs
from sensor.entry.lineage import Side
from sensor.probe.layout import Facts

INITIAL: Final = 0xEFFFFFFD
"""PROC_USER_INIT_INO: the host's user namespace, in every kernel."""
MAX_KEPT: Final = 1024
"""User namespaces whose root is remembered; beyond, all are asked for again."""


class Users:
    """Names by process. Reads /proc once for each user namespace."""

    def __init__(
        self,
        host_name: Callable[[int], str | None],
        side: Callable[[int], Side],
        proc: Path = procfs.PROC,
    ) -> None:
        self.host_name = host_name
        self._side = side
        self._proc = proc
        self._roots: dict[int, int | None] = {INITIAL: 0}

    def of(self, task: Facts, *pids: int) -> str | None:
        """The name of the user that a process of a visit runs as; None where it has but a number.

        `pids` are processes that may tell of its user namespace, where it is gone: its own, its container's.
        """
        if self._side(task.ns.mnt) == "host":
            return self.host_name(task.uid)
        return "root" if task.uid == self._root_of(task.ns.user, pids) else None

    def of_client(self, task: Facts, *pids: int) -> str | None:
        """The same of one who was seen at a daemon: of the host, unless a container is known to have it."""
        return self.of(task, *pids) if self._side(task.ns.mnt) == "container" else self.host_name(task.uid)

    def _root_of(self, namespace: int, pids: Iterable[int]) -> int | None:
        """The host's uid of a user namespace's root; None where its processes ended too soon to be asked."""
        if namespace not in self._roots:
            there = next((pid for pid in pids if self._is_of(pid, namespace)), None)
            if there is None:
                return None
            if len(self._roots) >= MAX_KEPT:
                self._roots = {INITIAL: 0}
            self._roots[namespace] = inside.uid("root", there, self._proc)
        return self._roots[namespace]

    def _is_of(self, pid: int, namespace: int) -> bool:
        found = procfs.namespaces(pid, proc=self._proc)
        return found is not None and found.get("user") == namespace
