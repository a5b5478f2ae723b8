# SPDX-License-Identifier: Apache-2.0
"""Which file system a container's root is, where a runtime put it together for this container alone.

It is mounted where the host sees it too (docker's "merged", `podman mount`): who takes that for his root uses the
container's files without going through any of its processes.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

_ITS_OWN: Final = frozenset({"overlay", "fuse.fuse-overlayfs", "fuse-overlayfs", "aufs"})
"""Made for one container at its start. Of a folder of the host's no number tells whose it is."""
_MAX_LINES: Final = 256
_MINOR_BITS: Final = 20


def device(pid: int, proc: Path = procfs.PROC) -> int | None:
    """The number, as the kernel has it, of the file system that is the root of `pid`'s mount namespace.

    None where it is not the container's own, is the sensor's, or cannot be read.
    """
    found = _root(proc / str(pid))
    return None if found is None or found == _root(proc / "self") else found


def _root(process: Path) -> int | None:
    found = None
    try:
        with (process / "mountinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in islice(lines, _MAX_LINES):
                fields, _, source = line.partition(" - ")
                each = fields.split()
                if len(each) > 4 and each[4] == "/":  # the last one lies on top
                    own = each[3] == "/" and source.split(" ", 1)[0] in _ITS_OWN
                    found = _number(each[2]) if own else None
    except OSError:
        return None
    return found


def _number(text: str) -> int | None:
    major, _, minor = text.partition(":")
    return int(major) << _MINOR_BITS | int(minor) if major.isdecimal() and minor.isdecimal() else None
