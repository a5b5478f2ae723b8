# SPDX-License-Identifier: Apache-2.0
"""How long from an entry until a person could read of it: `nsenter` to a line of `alerts tail`."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median, quantiles

from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import BIN, Stack

VISITS = 20


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. The controller of `stack` runs, its sensor does not."""
    with ExitStack() as undo:
        docker = undo.enter_context(Dockerd())
        docker.image("busybox:bench")
        docker.run("busybox:bench", "sleep", "3600", name="bench")
        stack.start_sensor(undo)
        pid = docker.init_pid("bench")
        tail = undo.enter_context(
            subprocess.Popen(
                [
                    BIN / "nsentry-controller",
                    "--state",
                    stack.root / "controller",
                    "alerts",
                    "tail",
                    "--from-start",
                    "--json",
                ],
                stdout=subprocess.PIPE,
            )
        )
        undo.callback(tail.terminate)
        taken = sorted(_visit(pid, tail) for _ in range(VISITS))
    yield (
        f"exec to alert   median {median(taken) * 1000:.0f} ms   "
        f"p95 {quantiles(taken, n=20)[-1] * 1000:.0f} ms   "
        f"({len(taken)} visits; alerts tail polls every 500 ms)"
    )


def _visit(pid: int, tail: subprocess.Popen[bytes]) -> float:
    assert tail.stdout is not None
    begin = time.monotonic()
    subprocess.run(["nsenter", "-t", str(pid), "-m", "-p", "/bin/true"], check=True)
    while True:
        told = json.loads(tail.stdout.readline())
        alert = told["alert"]
        # Other containers of this host are watched too.
        ours = alert["container"]["name"] == "bench" and alert["means"] == "ns-join"
        if ours and told["change"]["action"] == "raised":
            return time.monotonic() - begin
