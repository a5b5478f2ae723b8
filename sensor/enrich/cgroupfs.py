# SPDX-License-Identifier: Apache-2.0
"""The numbers by which the kernel knows a cgroup, from its path: they are those of its folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

MAX_MOUNTS: Final = 4096
"""Lines of mountinfo that are read: a host of many containers has many, and ours come early."""


def numbers(path: str, proc: Path = procfs.PROC) -> list[int]:
    """Of the cgroup `path`, in the unified hierarchy and in that of the pids controller; none where it is gone.

    These are the two that the kernel's programs go by: see cgroup_of() in bpf/task.h.
    """
    found = set()
    names = [name for name in path.split("/") if name]
    if not names or ".." in names:
        return []
    for mount in _hierarchies(proc):
        try:
            found.add(mount.joinpath(*names).stat().st_ino)
        except OSError:
            continue
    return sorted(found)


def _hierarchies(proc: Path) -> Iterator[Path]:
    """Where the two are mounted, from their root."""
    try:
        with (proc / "self" / "mountinfo").open(encoding="utf-8", errors="replace") as lines:
            for _, line in zip(range(MAX_MOUNTS), lines, strict=False):
                place, _, kind = line.partition(" - ")
                fields, words = place.split(), kind.split()
                if len(fields) < 5 or len(words) < 3 or fields[3] != "/":
                    continue
                unified = words[0] == "cgroup2"
                if unified or (words[0] == "cgroup" and "pids" in words[-1].split(",")):
                    yield Path(fields[4])
    except OSError:
        return
