# SPDX-License-Identifier: Apache-2.0
"""Which processes are container daemons: they have a container's network set up by a child, and copy its files.

dockerd does so by itself ("exe"), the others by CNI plugins or netavark. A process can be given any name, so the
name is not enough: the file that runs must be such a daemon's too, and lie where software is installed. Root can
put his own file there, as he can replace the daemon.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from sensor.enrich import procfs
from sensor.probe.layout import Setns, Step

_NAMES: Final = frozenset(
    {"dockerd", "containerd", "podman", "crio", "kubelet", "cri-dockerd", "nerdctl", "buildkitd"}
)
_FILES: Final = _NAMES | {"k3s", "rke2", "k0s"}
"""Distributions that hold several daemons in one file."""
_INSTALLED: Final = ("/usr/", "/opt/", "/bin/", "/sbin/", "/snap/", "/var/lib/rancher/", "/var/lib/k0s/")


def is_daemon(step: Step, proc: Path | None = procfs.PROC) -> bool:
    """Whether this process is a container daemon. With no `proc` to ask, as in a replay, the name decides."""
    if step.comm not in _NAMES:
        return False
    if proc is None:
        return True
    now = procfs.stat_start(step.pid, proc)
    if now is None or not procfs.same_start(now, step.start):
        return False
    exe = procfs.exe(step.pid, proc)
    return exe is not None and _is_installed(exe)


def copies(event: Setns) -> bool:
    """Whether a container daemon itself joined, and no child: `podman cp` does so, in whichever of its threads.

    The file that runs is the kernel's word.
    """
    return event.task.comm in _NAMES and event.exe is not None and _is_installed(event.exe)


def _is_installed(exe: str) -> bool:
    if not exe.startswith(_INSTALLED):
        return False
    # A daemon that was upgraded and not restarted runs a file that is gone.
    return PurePosixPath(exe.removesuffix(" (deleted)")).name in _FILES
