# SPDX-License-Identifier: Apache-2.0
"""How long from a program's exec in a container until its alert can be read from the controller's store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median, quantiles

from controller.store import alerts, entries
from controller.store.engine import Store
from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

VISITS = 100
POLL_S = 0.002
PATIENCE_S = 20.0


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. The controller of `stack` runs, its sensor does not."""
    with ExitStack() as undo:
        docker = undo.enter_context(Dockerd())
        docker.image("busybox:bench")
        container = docker.run("busybox:bench", "sleep", "3600", name="bench")
        stack.start_sensor(undo)
        store = undo.enter_context(Store(f"sqlite:///{stack.root / 'controller' / 'nsentry.db'}"))
        with store.read() as connection:
            last = alerts.last_change(connection)
        taken, typed = [], []
        for _ in range(VISITS):
            begin = time.time_ns()
            acting = threading.Thread(target=docker.exec, args=(container, "env"))
            acting.start()
            last, executed, seen = _alerted(store, container, last)
            acting.join()
            taken.append((seen - executed) / 1e6)
            typed.append((seen - begin) / 1e6)
    yield _line("exec in the container to alert in the store", taken)
    yield _line("docker exec as typed to alert in the store", typed)


def _line(what: str, taken: list[float]) -> str:
    percent = quantiles(taken, n=100)
    return f"{what}   median {median(taken):.0f} ms   p99 {percent[98]:.0f} ms   ({len(taken)} visits)"


def _alerted(store: Store, container: str, last: int) -> tuple[int, int, int]:
    """The latest change, when the program was executed by the kernel's clock, and when its alert was there."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with store.read() as connection:
            changes = alerts.changes(connection, last)
            seen = time.time_ns()
            for each in changes:
                last = each["change"]["id"]
                ours = each["alert"]["container"]["id"] == container
                if ours and each["change"]["action"] == "raised":
                    entry = entries.show(connection, each["alert"]["session"])
                    assert entry is not None
                    return last, entry["time_ns"], seen
        time.sleep(POLL_S)
    raise TimeoutError(f"no alert within {PATIENCE_S:.0f} s of a docker exec")
