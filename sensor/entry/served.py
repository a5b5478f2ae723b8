# SPDX-License-Identifier: Apache-2.0
"""Whose unix sockets are those of runtimes' daemons: by the file, whatever way leads to it, or by who listens.

Two keys, either of which will do. The file is that of a path where a daemon's socket is known to lie. Or the
process that listens is such a daemon by its name and by its file (see `daemons`), wherever it listens; systemd
listens in the place of a daemon that it starts at the first connect.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs, sockets
from sensor.entry.daemons import is_daemon
from sensor.probe.contacts import Listening, device
from sensor.probe.layout import Step
from sensor.wire import Runtime

_RUNTIMES: Final[Mapping[str, Runtime]] = {
    "dockerd": "docker",
    "containerd": "containerd",
    "podman": "podman",
    "crio": "cri-o",
    "cri-dockerd": "cri",
}
"""Daemons by their names; kubelet and buildkitd serve no API that enters containers at their sockets."""
_ACTIVATED: Final = frozenset({"docker.sock", "podman.sock", "containerd.sock", "crio.sock"})


@dataclass(frozen=True, slots=True)
class Served:
    """A socket that a runtime's daemon serves, and the process that listens there."""

    runtime: Runtime
    path: str
    daemon: Step


class Daemons:
    """Answers for any listener. Reads files of /proc, and the status of some paths."""

    def __init__(self, configured: Iterable[str] = (), proc: Path = procfs.PROC) -> None:
        self._configured = tuple(configured)
        self._proc = proc

    def served(self, listening: Listening, path: str) -> Served | None:
        """What listens there, bound to `path` in its own words; None for what is no runtime's."""
        daemon = self._step(listening.pid)
        usual = self._usual(listening)
        if usual is not None:
            return Served(_runtime(usual, daemon.comm), usual, daemon)
        if sockets.is_internal(path):
            return None
        if daemon.comm in _RUNTIMES:
            return Served(_RUNTIMES[daemon.comm], path, daemon) if is_daemon(daemon, self._proc) else None
        activated = daemon.comm == "systemd" and path.rpartition("/")[2] in _ACTIVATED
        return Served(_runtime(path, ""), path, daemon) if activated else None

    def _step(self, pid: int) -> Step:
        start = procfs.stat_start(pid, self._proc) if pid else None
        status = procfs.status(pid, self._proc) if start is not None else None
        comm = procfs.comm(pid, self._proc) if status is not None else None
        mnt = procfs.namespace(pid, "mnt", self._proc) if pid else None
        return Step(start or 0, pid, status.uid if status else 0, mnt or 0, 0, comm or "")

    def _usual(self, listening: Listening) -> str | None:
        for path in sockets.usual(self._configured):
            try:
                status = Path(path).stat()
            except (OSError, ValueError):
                continue
            number = device(os.major(status.st_dev), os.minor(status.st_dev))
            if (status.st_ino, number) == (listening.inode, listening.device):
                return path
        return None


def _runtime(path: str, comm: str) -> Runtime:
    if comm in _RUNTIMES:
        return _RUNTIMES[comm]
    return next((runtime for name, runtime in _RUNTIMES.items() if name.removesuffix("d") in path), "docker")
