# SPDX-License-Identifier: Apache-2.0
"""A /proc of the test's own making, for states that no test can bring about for real (reused inodes).

A namespace is a file and its number that file's inode; processes that share it have hard links to it, so that
numbers behave as they do in nsfs.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sensor.enrich.procfs import NS_FILES, TICK_NS


class ProcTree:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "proc"
        self._namespaces = folder / "namespaces"
        self.path.mkdir()
        self._namespaces.mkdir()
        (self.path / "self").symlink_to(str(os.getpid()))
        self.add(os.getpid(), "sensor")

    def inode(self, name: str) -> int:
        """The number of the namespace that is called `name` in this test."""
        file = self._namespaces / name
        file.touch()
        return file.stat().st_ino

    def add(
        self,
        pid: int,
        comm: str = "init",
        *,
        argv: tuple[str, ...] = (),
        ppid: int = 1,
        start: int = 100,
        mnt: str = "host",
        cgroup: str = "/",
        nspid: tuple[int, ...] = (),
        uid: int = 0,
        namespaces: dict[str, str] | None = None,
        caps: str = "00000000a80425fb",
    ) -> int:
        """A process that started at tick `start`; its start in nanoseconds. Replaces one of the same pid."""
        self.remove(pid)
        folder = self.path / str(pid)
        (folder / "ns").mkdir(parents=True)
        for kind in NS_FILES:
            name = {"mnt": mnt, **(namespaces or {})}.get(kind, f"host-{kind}")
            self.inode(name)
            os.link(self._namespaces / name, folder / "ns" / kind)
        fields = ["S", ppid, pid, pid, 0, -1, *[0] * 13, start, 0, 0]
        (folder / "stat").write_text(f"{pid} ({comm}) {' '.join(map(str, fields))}\n")
        (folder / "status").write_text(
            f"Name:\t{comm}\nPPid:\t{ppid}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t0\n"
            f"NSpid:\t{chr(9).join(map(str, (pid, *nspid)))}\nCapEff:\t{caps}\nCapBnd:\t{caps}\n"
        )
        (folder / "comm").write_text(f"{comm}\n")
        (folder / "cmdline").write_bytes(b"".join(os.fsencode(one) + b"\0" for one in argv))
        (folder / "cgroup").write_text(f"1:cpu:/\n0::{cgroup}\n")
        return start * TICK_NS

    def remove(self, pid: int) -> None:
        """The process is gone. Namespaces stay, as their numbers may."""
        shutil.rmtree(self.path / str(pid), ignore_errors=True)
