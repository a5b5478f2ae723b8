# SPDX-License-Identifier: Apache-2.0
"""The podman that is above a conmon, although it is not its parent.

podman has no daemon. It starts a conmon for each exec, which leaves the tree by a double fork, and waits on a pipe
for what conmon has to say: the pipe has the same number at both ends.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

_MAX_FDS: Final = 256
_PIPE: Final = b"_OCI_SYNCPIPE="
_MAX_ENVIRONMENT: Final = 64 * 1024
"""podman sets it (containers/podman, libpod/oci_conmon_common.go). A user may set his own conmon's, and names
himself: it must be of the same user."""


def caller(conmon: int, proc: Path = procfs.PROC) -> int | None:
    """The pid of the podman that waits for this conmon; None where none does."""
    pipe = _sync_pipe(conmon, proc)
    mine = procfs.status(conmon, proc)
    if pipe is None or mine is None:
        return None
    for pid in procfs.pids(proc):
        if pid == conmon or not (procfs.comm(pid, proc) or "").startswith("podman"):
            continue
        status = procfs.status(pid, proc)
        if status is not None and status.uid == mine.uid and pipe in _links(pid, proc):
            return pid
    return None


def _sync_pipe(pid: int, proc: Path) -> str | None:
    try:
        with (proc / str(pid) / "environ").open("rb", buffering=0) as file:
            words = (file.read(_MAX_ENVIRONMENT) or b"").split(b"\0")
        number = next((word[len(_PIPE) :] for word in words if word.startswith(_PIPE)), b"")
        if not number.isdigit():
            return None
        link = os.readlink(proc / str(pid) / "fd" / number.decode("ascii"))  # noqa: PTH115 - no path
    except OSError:
        return None
    return link if link.startswith("pipe:[") else None


def _links(pid: int, proc: Path) -> set[str]:
    found = set()
    try:
        with os.scandir(proc / str(pid) / "fd") as entries:
            for _, entry in zip(range(_MAX_FDS), entries, strict=False):
                found.add(os.readlink(entry.path))  # noqa: PTH115 - no path
    except OSError:
        return found
    return found
