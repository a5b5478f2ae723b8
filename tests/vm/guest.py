# SPDX-License-Identifier: Apache-2.0
"""What a kernel does with the sensor's programs, each loader and kind of hook in turn, as JSON.

python -m tests.vm.guest FILE GETPPID LOADER:BEST...
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

from sensor.probe import ProbeError
from sensor.probe.hooks import Best
from tests.bench import cost
from tests.runtimes.watching import Watching
from tests.vm.container import Container
from tests.vm.ways import BRIEF, WAYS, entry_problem

ROUNDS = 7


def calls_ns(program: str) -> float:
    """Nanoseconds for a call of getppid: the least of some rounds, which what else runs here disturbs least."""
    return min(
        float(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
        for _ in range(ROUNDS)
    )


def tried(watching: Watching, container: Container, names: tuple[str, ...]) -> dict[str, str]:
    """Each way in to "ok", or to what was wrong."""
    told = {}
    for name in names:
        try:
            entry = watching.visit(lambda name=name: WAYS[name].act(container), container.id)[0]  # type: ignore[misc]
            told[name] = entry_problem(entry, WAYS[name], container) or "ok"
        except (AssertionError, ValueError, OSError, subprocess.SubprocessError) as error:
            told[name] = f"{type(error).__name__}: {str(error)[:600]}"
    return told


def start_told(watching: Watching) -> str:
    """A container's start is one start, and no entry."""
    watching.events.clear()
    second = Container(2)
    try:
        watching.until(lambda: bool(watching.of("start", second.id)), 60)
        watching.pump(0.5)
        entries = [event for event in watching.events if event["kind"] == "entry"]
        return "ok" if not entries and len(watching.of("start", second.id)) == 1 else str(watching.events)
    except AssertionError as error:
        return str(error)[:600]
    finally:
        second.close()


def setns_run_ns(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> float:
    """BPF time for one setns, on its way in and out together."""
    spent = [
        (after[name][0] - before[name][0]) / (after[name][1] - before[name][1])
        for name in after
        if "setns" in name and after[name][1] > before[name][1]
    ]
    return sum(spent)


def row(loader: str, best: Best, getppid: str, container: Container) -> dict[str, Any]:
    """All that is found with one loader and one kind of hook."""
    found: dict[str, Any] = {"loader": loader, "asked": best, "getppid_off_ns": calls_ns(getppid)}
    began = time.monotonic()
    try:
        watching = Watching(loader, [], best_hook=best)
    except ProbeError as error:
        return found | {"error": str(error)}
    try:
        found["ready_s"] = round(time.monotonic() - began, 1)
        found["hooks"] = watching.probe.hooks
        found["getppid_on_ns"] = calls_ns(getppid)
        with cost.statistics():
            before = cost.run_times(os.getpid())
            subprocess.run([getppid, "setns"], check=True)
            found["setns_ns"] = round(setns_run_ns(before, cost.run_times(os.getpid())))
        found["ways"] = tried(watching, container, tuple(WAYS) if best == "auto" else BRIEF)
        if best == "auto":
            found["ways"]["start"] = start_told(watching)
        found["lost"] = {
            name: value for name, value in watching.probe.counters().items() if ".lost." in name and value
        }
    finally:
        watching.close()
    return found


def main(file: str, getppid: str, *wanted: str) -> None:
    """Write what was found, whatever it was."""
    container = Container(1)
    rows = []
    try:
        for each in wanted:
            loader, _, best = each.partition(":")
            rows.append(row(loader, cast("Best", best), getppid, container))
    finally:
        container.close()
    lsm = Path("/sys/kernel/security/lsm")
    result = {
        "kernel": platform.release(),
        "lsm": lsm.read_text().split(",") if lsm.exists() else [],
        "cgroup": "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1",
        "rows": rows,
    }
    Path(file).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
