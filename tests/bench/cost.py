# SPDX-License-Identifier: Apache-2.0
"""What the sensor costs those that it watches: exec, setns, and system calls that have nothing to do with it.

Off and on alternate, and the median of the pairs' ratios is told: what drifts in the machine hits both. Wall
ratios of exec are noisy all the same (0.98 to 1.06 for nothing against nothing), so the kernel's own account
of the programs' run time (kernel.bpf_stats_enabled) stands beside them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from vagrant.local.stack import Stack

PAIRS = 15
CALLS = {
    "exec": 1_000,
    "setns": 100_000,
    "getppid": 500_000,
    "pipe": 100_000,
    "open": 100_000,
    "datagram": 50_000,
}
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. The controller of `stack` runs, its sensor does not."""
    program = _build()
    pairs: dict[str, list[tuple[int, int]]] = {call: [] for call in CALLS}
    for _ in range(PAIRS):
        off = {call: _run(program, call) for call in CALLS}
        with ExitStack() as undo:
            stack.start_sensor(undo)
            for call in CALLS:
                pairs[call].append((off[call], _run(program, call)))
    for call, measured in pairs.items():
        ratios = sorted(on / off for off, on in measured)
        yield (
            f"{call:8} off {median(off for off, _ in measured):>9.0f} ns   "
            f"on {median(on for _, on in measured):>9.0f} ns   "
            f"ratio {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f} in {PAIRS} pairs)"
        )
    with ExitStack() as undo:
        sensor = stack.start_sensor(undo)
        with statistics():
            before = run_times(sensor.pid)
            for call in ("exec", "setns", "datagram"):
                _run(program, call)
            after = run_times(sensor.pid)
    for name, totals in sorted(after.items()):
        time_ns, runs = (now - then for now, then in zip(totals, before.get(name, (0, 0)), strict=True))
        if runs:
            yield f"program  {name:24} {time_ns / runs:>7.0f} ns a run, {runs} runs"


def _build() -> Path:
    source = Path(__file__).with_suffix(".c")
    program = Path("build/cost")
    subprocess.run(["clang", "-O2", "-Wall", "-Werror", source, "-o", program], check=True)
    return program


def _run(program: Path, call: str) -> int:
    done = subprocess.run([program, call, str(CALLS[call])], check=True, capture_output=True, text=True)
    return int(done.stdout)


@contextmanager
def statistics() -> Iterator[None]:
    """The kernel counts the run time of BPF programs meanwhile, which costs some itself."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def _held(pid: int, say: str) -> dict[int, int]:
    """Number of each program that the process holds, to what its descriptor says under `say`.

    Whose a program is, is read from the descriptors: Debian's bpftool is built without what tells "pids".
    """
    held = {}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed since
            said = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
            if "prog_id" in said and say in said:
                held[int(said["prog_id"])] = int(said[say])
    return held


def _shown() -> list[dict[str, Any]]:
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], check=True, capture_output=True, text=True)
    programs: list[dict[str, Any]] = json.loads(shown.stdout)
    return programs


def run_times(pid: int) -> dict[str, tuple[int, int]]:
    """Run time in ns and number of runs of each program that the process holds."""
    held = _held(pid, "prog_id")
    return {
        program.get("name", str(program["id"])): (program.get("run_time_ns", 0), program.get("run_cnt", 0))
        for program in _shown()
        if program["id"] in held
    }


def verified_steps(pid: int) -> dict[str, int]:
    """Instructions that the verifier went through for each program; nothing before Linux 5.16."""
    held = _held(pid, "verified_insns")
    return {
        program.get("name", str(program["id"])): held[program["id"]]
        for program in _shown()
        if program["id"] in held
    }
