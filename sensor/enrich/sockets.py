# SPDX-License-Identifier: Apache-2.0
"""Where daemons listen that speak Docker's API, or the container runtime interface (CRI).

What was configured, the usual places, and what runs now.

A daemon is found when it was started after the sensor, or with `-H unix:///somewhere/else`. What is found on
the host's own word only counts: a process with the name dockerd inside a container is that container's.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.cgroup import owner_of

USUAL: Final = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")
USUAL_CRI: Final = (
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
)
MAX_SOCKETS: Final = 32

_DAEMONS: Final = frozenset({"dockerd", "podman"})
_CRI_DAEMONS: Final = frozenset({"containerd", "crio"})
_LISTENS: Final = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix (proc(5))."""
_INTERNAL: Final = re.compile(
    r"^@|/libnetwork/|/metrics\.sock$|/swarm/control\.sock$|\.ttrpc$|debug\.sock$|^(?!/)"
)
"""Other sockets of these daemons, which speak something else."""
_MAX_FDS: Final = 4096


def discover(configured: Iterable[str] = (), proc: Path = procfs.PROC) -> list[str]:
    """Paths that speak Docker's API, the configured ones first. Reads the name of every process."""
    return _sockets((*configured, *USUAL, *_users_own(), *_of_daemons(_DAEMONS, proc)))


def discover_cri(proc: Path = procfs.PROC) -> list[str]:
    """Paths that may speak the CRI: a containerd that docker runs does not. Reads the name of every process."""
    return _sockets((*USUAL_CRI, *_of_daemons(_CRI_DAEMONS, proc)))


def _sockets(paths: Iterable[str]) -> list[str]:
    """Those that are sockets, each socket once."""
    found: dict[tuple[int, int], str] = {}
    for path in paths:
        try:
            status = Path(path).stat()
        except (OSError, ValueError):
            continue
        if stat.S_ISSOCK(status.st_mode) and len(found) < MAX_SOCKETS:
            found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())


def usual(configured: Iterable[str] = ()) -> Iterator[str]:
    """Where a daemon's socket is looked for without a look at processes, the configured places first."""
    yield from (*configured, *USUAL, *USUAL_CRI, *_users_own())


def is_internal(path: str) -> bool:
    """Whether a daemon speaks something else than its API at this socket of its own."""
    return _INTERNAL.search(path) is not None


def of_arguments(argv: list[str]) -> list[str]:
    """Paths that a dockerd or a `podman system service` was told to listen on."""
    hosts: list[str] = []
    for index, argument in enumerate(argv):
        if argument in {"-H", "--host"}:
            hosts.extend(argv[index + 1 : index + 2])
        elif argument.startswith("--host="):
            hosts.append(argument.removeprefix("--host="))
        elif argument.startswith("-H"):
            hosts.append(argument.removeprefix("-H").removeprefix("="))
        elif argument.startswith("unix://"):
            hosts.append(argument)
    paths = (host.removeprefix("unix://") for host in hosts if host.startswith("unix://"))
    return list(dict.fromkeys(path for path in paths if path.startswith("/")))


def daemons(proc: Path = procfs.PROC, *, kubelet: bool = False) -> Iterator[int]:
    """The runtimes' daemons of the host that run now, and its kubelet if asked. Reads the name of every process."""
    names = _DAEMONS | _CRI_DAEMONS | ({"kubelet"} if kubelet else set())
    for pid in procfs.pids(proc):
        name = procfs.comm(pid, proc)
        if name not in names or not _of_host(pid, proc):
            continue
        known = procfs.cmdline(pid, proc) if name == "podman" else None
        if name != "podman" or (known and serves(known[0])):
            yield pid


def serves(argv: list[str] | None) -> bool:
    """Whether a podman is the API service, which others ask, and no command of its own."""
    return ("system", "service") in pairwise(argv or ())


def _users_own() -> Iterator[str]:
    """Sockets of rootless daemons: $XDG_RUNTIME_DIR is /run/user/UID."""
    try:
        users = os.listdir("/run/user")  # noqa: PTH208 - names are all that is needed
    except OSError:
        return
    for user in users[:MAX_SOCKETS]:
        yield f"/run/user/{user}/docker.sock"
        yield f"/run/user/{user}/podman/podman.sock"


def _of_daemons(names: frozenset[str], proc: Path) -> Iterator[str]:
    own = procfs.namespace(os.getpid(), "mnt", proc)
    for pid in procfs.pids(proc):
        if procfs.comm(pid, proc) not in names or not _of_host(pid, proc):
            continue
        known = procfs.cmdline(pid, proc)
        listening = () if known is None else (*of_arguments(known[0]), *_listening(pid, proc))
        # Its paths are those of its own mount namespace.
        root = "" if procfs.namespace(pid, "mnt", proc) == own else str(proc / str(pid) / "root")
        for path in listening:
            yield root + path


def _of_host(pid: int, proc: Path) -> bool:
    """Whether a process is outside of every container: by its cgroup, and by its pid namespace."""
    status = procfs.status(pid, proc)
    return status is not None and len(status.nspid) <= 1 and owner_of(procfs.cgroups(pid, proc)) is None


def _listening(pid: int, proc: Path) -> list[str]:
    """Paths of the unix sockets that a process listens on, whoever told it to (daemon.json, a drop-in)."""
    folder = proc / str(pid)
    try:
        with os.scandir(folder / "fd") as entries:
            links = [os.readlink(entry.path) for entry, _ in zip(entries, range(_MAX_FDS), strict=False)]  # noqa: PTH115
        # Of its own network namespace: unix sockets are listed by it, though their paths are not bound to it.
        table = (folder / "net" / "unix").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = (line.split(None, 7) for line in table.splitlines()[1:])
    return [
        row[7]
        for row in rows
        if len(row) == 8 and row[6] in inodes and int(row[3], 16) & _LISTENS and not _INTERNAL.search(row[7])
    ]
