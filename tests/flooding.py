# SPDX-License-Identifier: Apache-2.0
"""A program that executes as fast as the machine can: flood.c, static, so that it runs in any container."""

from __future__ import annotations

import subprocess
from pathlib import Path


def build(folder: Path) -> Path:
    """The program, in `folder`. Its arguments: WORKERS SECONDS COUNT [differ]; it prints what it executed."""
    program = folder / "flood"
    source = Path(__file__).with_name("flood.c")
    subprocess.run(["clang", "-O2", "-static", "-Wall", "-Werror", source, "-o", program], check=True)
    return program
