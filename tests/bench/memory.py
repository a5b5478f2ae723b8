# SPDX-License-Identifier: Apache-2.0
"""Resident memory of a sensor that has just begun to watch, under each loader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from vagrant.local.stack import Stack


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
