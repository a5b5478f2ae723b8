# SPDX-License-Identifier: Apache-2.0
"""The podman that is above a conmon, although it is not its parent.

podman has no daemon. It starts a conmon for each exec, which leaves the tree by a double fork, and waits for what
conmon has to say at the other end of a pair of sockets (podman 4), or of a pipe (podman 3). Of a pair the kernel
notes who made it; both ends of a pipe have the same number.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.who import peers

_MAX_FDS: Final = 256
_PIPE: Final = b"_OCI_SYNCPIPE="
"""podman sets it (containers/podman, libpod/oci_conmon_common.go). A user may set that of a conmon of his own: it
leads to a process of his own then, for it must be of the same user."""
_MAX_ENVIRONMENT: Final = 64 * 1024


def caller(conmon: int, proc: Path = procfs.PROC) -> int | None:
    """The pid of the podman that waits for this conmon; None where none does."""
    number = _sync_end(conmon, proc)
    mine = procfs.status(conmon, proc)
    if number is None or mine is None:
        return None
    link = _link(proc / str(conmon) / "fd" / str(number)) or ""
    if link.startswith("socket:["):
        found = peers.maker(conmon, number)
    else:
        found = _other_end(link, conmon, proc) if link.startswith("pipe:[") else None
    theirs = procfs.status(found, proc) if found else None
    named = (procfs.comm(found, proc) or "") if found else ""
    return found if theirs and theirs.uid == mine.uid and named.startswith("podman") else None


def _other_end(link: str, conmon: int, proc: Path) -> int | None:
    for pid in procfs.pids(proc):
        if (
            pid != conmon
            and (procfs.comm(pid, proc) or "").startswith("podman")
            and link in _links(pid, proc)
        ):
            return pid
    return None


def _sync_end(pid: int, proc: Path) -> int | None:
    """The descriptor that podman gave conmon for it."""
    try:
        with (proc / str(pid) / "environ").open("rb", buffering=0) as file:
            words = (file.read(_MAX_ENVIRONMENT) or b"").split(b"\0")
    except OSError:
        return None
    number = next((word[len(_PIPE) :] for word in words if word.startswith(_PIPE)), b"")
    return int(number) if number.isdigit() and len(number) < 8 else None


def _link(path: Path) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - no path
    except OSError:
        return None


def _links(pid: int, proc: Path) -> set[str | None]:
    try:
        with os.scandir(proc / str(pid) / "fd") as entries:
            return {_link(Path(entry.path)) for _, entry in zip(range(_MAX_FDS), entries, strict=False)}
    except OSError:
        return set()
