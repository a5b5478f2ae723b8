# SPDX-License-Identifier: Apache-2.0
"""Runs tests.vm.guest on each kernel: Debian's in an emulated computer, and the one that runs here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.vm import kernels, machine

LOADERS: Final = tuple(os.environ.get("VM_LOADERS", "core").split())
"""What is tried in emulation. `make test` leaves out bcc, which compiles for a minute and more on each kernel."""
_EACH: Final = tuple(f"{loader}:{best}" for loader in LOADERS for best in ("auto", "kprobe", "tracepoint"))
WANTED: Final = {
    "bullseye": _EACH,
    "bookworm": _EACH,
    "trixie": _EACH,
    "here": ("core:auto", "bcc:auto"),
}
"""Kernel to what is tried on it: each kind of hook, "auto" for the best. Here, kprobes may be lacking."""
ROWS: Final = [(kernel, asked) for kernel, wanted in WANTED.items() for asked in wanted]
SECONDS: Final = 3600 if "bcc" in LOADERS else 900


def run_all() -> dict[str, dict[str, Any]]:
    """Kernel to what was found on it: {"error": ...} where it could not be run."""
    kernels.PROGRAMS.mkdir(parents=True, exist_ok=True)
    for source in Path(__file__).with_name("programs").glob("*.c"):
        compiler = ["clang", "-O2", "-Wall", "-Werror", "-pthread", source]
        subprocess.run([*compiler, "-o", kernels.PROGRAMS / source.stem], check=True)
    # Two at a time: a guest keeps one processor busy.
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WANTED, pool.map(_run, WANTED), strict=True))


def results_of(kernel: str) -> Path:
    """Where a run leaves what it found."""
    return kernels.CACHE / kernel / "out" / "results.json"


def _run(name: str) -> dict[str, Any]:
    file = results_of(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    try:
        if name == "here":
            _guest(str(file), WANTED[name])
        else:
            command = [sys.executable, "-m", "tests.vm.guest", "/mnt/out/results.json"]
            machine.run(kernels.fetch(name), [*command, *WANTED[name]], file.parent, SECONDS)
        found: dict[str, Any] = json.loads(file.read_text())
    except (machine.DiedError, LookupError, OSError, subprocess.SubprocessError) as error:
        return {"error": f"{error}\n{getattr(error, 'stderr', None) or ''}"}
    return found


def _guest(file: str, wanted: tuple[str, ...]) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.vm.guest", file, *wanted],
        cwd=machine.ROOT,
        check=True,
        timeout=SECONDS,
        capture_output=True,
        text=True,
    )
