# SPDX-License-Identifier: Apache-2.0
"""What an exec costs, on the host and in a container: the programs' run time, and the sensor's own CPU.

The run time is the kernel's account (kernel.bpf_stats_enabled), summed over all programs of the sensor that ran
for an exec with its fork and exit. It is taken in runs of its own: to count costs some itself.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench.cost import run_times, statistics
from tests.flooding import build
from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

EXECS = 10_000
VISITS = 20
IDLE_S = 10
SETTLE_S = 3.0
WINDOW_S = 12.0
ROUNDS = 3
TICKS = os.sysconf("SC_CLK_TCK")
Flood = Callable[[], None]


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. The controller of `stack` runs, its sensor does not."""
    with ExitStack() as undo:
        docker = undo.enter_context(Dockerd())
        docker.image("busybox:bench")
        program = build(Path("build")).absolute()
        idle = docker.run("busybox:bench", "sleep", "3600", options=["-v", f"{program}:/flood"])
        sensor = stack.start_sensor(undo).pid
        time.sleep(SETTLE_S)
        idling = _cpu(sensor, lambda: time.sleep(IDLE_S))
        yield f"idle     {100 * idling:.2f} % of a core, other work of this machine included"
        for what, (rest, flood) in _floods(docker, program).items():
            # In turn: what else the machine does, and the start of a container, is in both.
            seconds = [(_spending(sensor, rest), _spending(sensor, flood)) for _ in range(ROUNDS)]
            spent = median(flooded - rested for rested, flooded in seconds)
            yield (
                f"cpu      {what:26} {spent:.2f} s of the sensor's own for {EXECS:,} execs "
                f"({min(b - a for a, b in seconds):.2f} to {max(b - a for a, b in seconds):.2f} in {ROUNDS} rounds)"
            )
            yield from _programs(sensor, what, flood, EXECS)
        yield from _programs(sensor, "docker exec", lambda: _visit(docker, idle), VISITS)


def _floods(docker: Dockerd, program: Path) -> dict[str, tuple[Flood, Flood]]:
    """By name: the same without execs, and with them."""

    def in_container(count: int, *more: str) -> Flood:
        def flood() -> None:
            mount = ["--rm", "-v", f"{program}:/flood"]
            docker.docker("run", *mount, "busybox:bench", "/flood", "2", "0", str(count), *more, timeout=300)

        return flood

    return {
        "host": (lambda: None, lambda: _run([str(program), "2", "0", str(EXECS)])),
        "container, alike": (in_container(2), in_container(EXECS)),
        "container, all different": (in_container(2), in_container(EXECS, "differ")),
    }


def _visit(docker: Dockerd, container: str) -> None:
    for _ in range(VISITS):
        docker.exec(container, "true")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _cpu(pid: int, act: Callable[[], None]) -> float:
    """The part of a core that the sensor takes meanwhile."""
    begin, before = time.monotonic(), _spent(pid)
    act()
    return (_spent(pid) - before) / (time.monotonic() - begin)


def _spending(pid: int, act: Callable[[], None]) -> float:
    """Seconds of CPU, user and system, that the sensor took in WINDOW_S from when it began."""
    begin, before = time.monotonic(), _spent(pid)
    act()
    time.sleep(max(0.0, WINDOW_S - (time.monotonic() - begin)))
    return _spent(pid) - before


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _programs(pid: int, what: str, act: Callable[[], None], times: int) -> Iterator[str]:
    with statistics():
        begin, before = time.monotonic(), run_times(pid)
        act()
        took, between = time.monotonic() - begin, run_times(pid)
        time.sleep(took)
        after = run_times(pid)
    # What else the machine did in as much time is taken off.
    spent = {
        name: 2 * between[name][0] - before[name][0] - time_ns
        for name, (time_ns, _) in after.items()
        if name in before and name in between
    }
    each = ", ".join(
        f"{name.removeprefix('on_')} {ns / times:.0f}"
        for name, ns in sorted(spent.items(), key=lambda item: -item[1])
        if ns / times >= 1
    )
    yield f"programs {what:26} {sum(spent.values()) / times / 1000:.2f} us each ({each} ns)"
