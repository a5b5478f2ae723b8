# SPDX-License-Identifier: Apache-2.0
"""Two people over ssh on a host with docker, watched by a sensor and a controller: for who it was."""

from __future__ import annotations

import shlex
import shutil
import socket
import time
from pathlib import Path

from tests.runtimes.sshd import Sshd
from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

PATIENCE_S = 60.0
JANE, BOB, GROUP = "nsentryjane", "nsentrybob", "nsentrydocker"


class Lab:
    """A dockerd, an sshd with two people, and a whole nsentry that watches both."""

    def __init__(self, folder, undo, people=(JANE, BOB), group=GROUP):
        self.undo = undo
        self.dockerd = undo.enter_context(Dockerd())
        self.dockerd.image("busybox:test")
        self.sshd = undo.enter_context(Sshd(people, group))
        # Who is in docker's group needs no root: the usual way.
        shutil.chown(self.dockerd.socket, group=group)
        self.dockerd.socket.chmod(0o660)
        self.dockerd.folder.chmod(0o711)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder / "stack", port, (Path(self.dockerd.socket),))
        self.stack.start(undo)

    def docker(self, *words):
        """The line by which somebody asks this dockerd."""
        return shlex.join(["docker", "-H", f"unix://{self.dockerd.socket}", *words])

    def web(self, *options):
        """A container that runs, by id and name."""
        made = self.dockerd.run("busybox:test", "sleep", "600", options=list(options))
        return made, self.dockerd.docker("inspect", "-f", "{{.Name}}", made).strip("/")

    def entries(self, container, count=1):
        """The visits to a container, once that many are there and their records are."""
        end = time.monotonic() + PATIENCE_S
        while True:
            found = self.stack.read("entries", "list", "--container", container)
            if len(found) >= count and all(
                (each["record"] or {}).get("status") != "awaited" for each in found
            ):
                return found
            assert time.monotonic() < end, found
            time.sleep(0.2)
