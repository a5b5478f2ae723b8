# SPDX-License-Identifier: Apache-2.0
"""What a kernel does with the sensor's programs, each loader and kind of hook in turn, as JSON.

python -m tests.vm.guest FILE LOADER:BEST...
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from sensor.probe import ProbeError, open_probe, pins, receiver
from sensor.probe.bcc import BccProbe
from sensor.probe.hooks import HOOKS, Best, Choice
from tests.bench import cost
from tests.runtimes.watching import Watching
from tests.vm.container import Container
from tests.vm.kernels import PROGRAMS
from tests.vm.ways import WAYS, entry_problem

ROUNDS: Final = 7
_PINS: Final = Path("/sys/fs/bpf/nsentry-vm")


def calls_ns() -> float:
    """Nanoseconds for a call of getppid: the least of some rounds, which what else runs here disturbs least."""
    return min(
        float(subprocess.run([PROGRAMS / "getppid"], check=True, capture_output=True, text=True).stdout)
        for _ in range(ROUNDS)
    )


def tried(watching: Watching, container: Container) -> dict[str, str]:
    """Each way in to "ok", or to what was wrong."""
    told = {}
    for name, way in WAYS.items():
        print(" ", name, flush=True)
        try:
            entry = watching.visit(lambda way=way: way.act(container), container.id)[0]  # type: ignore[misc]
            told[name] = entry_problem(entry, way, container) or "ok"
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
        entries = [*watching.of("entry", second.id), *watching.of("entry", "")]
        starts = len(watching.of("start", second.id))
        return "ok" if not entries and starts == 1 else f"{starts} starts, entries: {str(entries)[:600]}"
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


def rehang(probe: BccProbe, best: Best) -> None:
    """Another kind of hook for what is compiled already: a compile takes half a minute in emulation."""
    (hook,) = (hook for hook in HOOKS if hook.purpose == "setns")
    for way in hook.ways:
        probe._detach(way)
    choice = Choice(best, (hook,))
    probe._refuse_untried(choice)
    probe._attach_best(choice, hook.purpose)
    probe.hooks |= choice.names()


def measured(watching: Watching, container: Container) -> dict[str, Any]:
    """All that is found with the hooks that there are now."""
    found: dict[str, Any] = {"hooks": dict(watching.probe.hooks), "getppid_on_ns": calls_ns()}
    with cost.statistics():
        before = cost.run_times(os.getpid())
        subprocess.run([PROGRAMS / "getppid", "setns"], check=True)
        found["setns_ns"] = round(setns_run_ns(before, cost.run_times(os.getpid())))
    found["verified"] = max(cost.verified_steps(os.getpid()).values(), default=None)
    found["ways"] = tried(watching, container) | {"start": start_told(watching)}
    counters = watching.probe.counters()
    found["lost"] = {name: value for name, value in counters.items() if ".lost." in name and value}
    return found


def pinned(best: Best) -> str:
    """Whether programs and maps can be left in the kernel, in the sensor's words."""
    try:
        open_probe("core", receiver(lambda _event: None, str), best, _PINS).close()
    except ProbeError as error:
        return str(error)
    finally:
        pins.unpin(_PINS)
    return "ok"


def rows(loader: str, kinds: tuple[Best, ...], container: Container) -> Iterator[dict[str, Any]]:
    """What is found with a loader, by each kind of hook in turn."""
    off = calls_ns()
    watching: Watching | None = None
    for best in kinds:
        row = {"loader": loader, "asked": best, "getppid_off_ns": off}
        began = time.monotonic()
        try:
            if watching and isinstance(watching.probe, BccProbe):
                rehang(watching.probe, best)
            else:
                watching = Watching(loader, [], best_hook=best)
            row["ready_s"] = round(time.monotonic() - began, 1)
            yield row | measured(watching, container)
        except ProbeError as error:
            yield row | {"error": str(error)}
        print(loader, best, f"{time.monotonic() - began:.0f} s", flush=True)
        if watching and loader == "core":
            watching.close()
            watching = None
    if watching:
        watching.close()


def main(file: str, *wanted: str) -> None:
    """Write what was found, whatever it was."""
    asked: dict[str, list[Best]] = {}
    for each in wanted:
        loader, _, best = each.partition(":")
        asked.setdefault(loader, []).append(cast("Best", best))
    container = Container(1)
    try:
        found = [row for loader, kinds in asked.items() for row in rows(loader, tuple(kinds), container)]
    finally:
        container.close()
    lsm = Path("/sys/kernel/security/lsm")
    result = {
        "kernel": platform.release().partition("-fc")[0],
        "lsm": lsm.read_text().split(",") if lsm.exists() else [],
        "cgroup": "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1",
        "pins": {best: pinned(best) for best in asked.get("core", [])},
        "rows": found,
    }
    Path(file).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
