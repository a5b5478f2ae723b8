# SPDX-License-Identifier: Apache-2.0
"""Resident memory of a sensor that has just begun to watch, under each loader, and over a million events."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

EVENTS = 1_000_000


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. The controller of `stack` runs, its sensor does not."""
    sizes = {}
    for loader in ("core", "bcc"):
        with ExitStack() as undo:
            status = Path(f"/proc/{stack.start_sensor(undo, loader).pid}/status").read_text()
            match = re.search(r"VmRSS:\s+(\d+) kB", status)
            assert match is not None
            sizes[loader] = int(match[1]) / 1024
            yield f"memory   {loader:5} {sizes[loader]:.0f} MiB"
    yield f"memory   bcc/core {sizes['bcc'] / sizes['core']:.1f}"
    with Dockerd() as docker:
        docker.image("busybox:bench")
        pid = docker.init_pid(docker.run("busybox:bench", "sleep", "3600"))
        command = [sys.executable, "-m", "tests.bench.feed", str(docker.socket), str(pid), str(EVENTS)]
        fed = subprocess.run(command, check=True, capture_output=True, text=True)
        yield from (f"memory   {line}" for line in fed.stdout.splitlines())
