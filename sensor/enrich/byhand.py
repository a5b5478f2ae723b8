# SPDX-License-Identifier: Apache-2.0
"""Containers that were made by calling a low-level runtime: no daemon, no supervisor, any cgroup.

runc and crun keep a folder for each container that runs, with the pid of its init: `state.json` and `status`,
by their sources. It is read only for a process that is the first of a pid namespace and that nothing else
names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

from sensor.enrich import procfs
from sensor.enrich.supervisor import ID

MAX_CONTAINERS: Final = 256
"""Folders of one runtime that are looked through."""
MAX_BYTES: Final = 1024 * 1024

_ROOTS: Final = ("run/runc", "run/crun")
_RUNTIMES: Final = frozenset({"runc", "crun"})
_FILES: Final = (("state.json", "init_process_pid"), ("status", "pid"))


def container_of(init_pid: int, parent: int, proc: Path = procfs.PROC) -> str | None:
    """The id of the container whose first process is `init_pid`, None where no runtime has one.

    Looked for below the runtimes' usual folders and, while it is still there, where the runtime that is its
    parent keeps its own (`--root`).
    """
    status = procfs.status(init_pid, proc)
    if status is None or len(status.nspid) < 2 or status.nspid[-1] != 1:
        return None
    for root in _roots(parent, proc):
        try:
            with os.scandir(root) as entries:
                names = [entry.name for entry in islice(entries, MAX_CONTAINERS)]
        except OSError:
            continue
        for name in names:
            if ID.fullmatch(name) and any(
                _number(root / name / file, key) == init_pid for file, key in _FILES
            ):
                return name
    return None


def _roots(parent: int, proc: Path) -> Iterator[Path]:
    for root in _ROOTS:
        yield proc / "self" / "root" / root
    if procfs.comm(parent, proc) not in _RUNTIMES:
        return
    known = procfs.cmdline(parent, proc)
    for option, value in pairwise(known[0] if known else ()):
        if option == "--root" and value.startswith("/"):
            yield proc / str(parent) / "root" / value.lstrip("/")


def _number(path: Path, key: str) -> int | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - by descriptor
            state: Any = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    number = state.get(key) if isinstance(state, dict) else None
    return number if isinstance(number, int) else None
