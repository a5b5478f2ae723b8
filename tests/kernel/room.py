# SPDX-License-Identifier: Apache-2.0
"""A process that stands for a container's, without a runtime."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sensor.probe import Probe

WAIT_S = 20


class Room:
    """A process in namespaces of its own, as a container's init is: a shell that does what it is told."""

    def __init__(self, probe: Probe) -> None:
        self.shell = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.do(":")
        children = Path(f"/proc/{self.shell.pid}/task/{self.shell.pid}/children").read_text().split()
        self.init = int(children[0])
        self.mnt = Path(f"/proc/{self.init}/ns/mnt").stat().st_ino
        probe.know_init(self.mnt, self.init)

    def do(self, script: str) -> None:
        """Runs it, and waits for its end."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{script}\necho done\n")
        self.shell.stdin.flush()
        while self.shell.stdout.readline() != "done\n":
            pass

    def close(self) -> None:
        """Ends it."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.close()
        self.shell.wait(WAIT_S)
        self.shell.stdout.close()
