# SPDX-License-Identifier: Apache-2.0
"""A container made with runc by hand, where no daemon fits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


class Container:
    """Busybox that sleeps, with the cgroup of a docker container, so that the sensor knows it for one."""

    def __init__(self, number: int) -> None:
        self.id = f"{number:064x}"
        self._home = Path(tempfile.mkdtemp(prefix="nsentry-vm-"))
        self._make_bundle()
        self._runc("run", "-d", "--pid-file", str(self._home / "pid"), "--bundle", str(self._home), self.id)
        self.pid = int((self._home / "pid").read_text())

    def _make_bundle(self) -> None:
        programs = self._home / "rootfs" / "bin"
        programs.mkdir(parents=True)
        busybox = shutil.which("busybox")
        assert busybox, "busybox-static is missing"
        shutil.copy(busybox, programs / "busybox")
        for name in ("sh", "sleep", "true", "id"):
            (programs / name).symlink_to("busybox")
        subprocess.run(["runc", "spec"], cwd=self._home, check=True)
        file = self._home / "config.json"
        spec: dict[str, Any] = json.loads(file.read_text())
        spec["process"] |= {"terminal": False, "args": ["sleep", "3600"]}
        spec["linux"]["cgroupsPath"] = f"/docker/{self.id}"
        file.write_text(json.dumps(spec))

    def _runc(self, *arguments: str) -> None:
        command = ["runc", "--root", str(self._home / "state"), *arguments]
        # Its init keeps the descriptors: a pipe to us would never end.
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=True, stdin=quiet, stdout=quiet, stderr=quiet)

    def exec(self, *command: str) -> None:
        """Run a command in it, by runc."""
        self._runc("exec", self.id, *command)

    def own_namespaces(self) -> list[str]:
        """Those that it does not share with us."""
        return [kind for kind in KINDS if self._inode("self", kind) != self._inode(str(self.pid), kind)]

    @staticmethod
    def _inode(pid: str, kind: str) -> int:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino  # noqa: PTH116 - the link's end, not the link

    def close(self) -> None:
        """Kill and forget."""
        self._runc("delete", "-f", self.id)
        shutil.rmtree(self._home)
