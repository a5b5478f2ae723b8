# SPDX-License-Identifier: Apache-2.0
"""Whose process is it? The container that a process belongs to, by its cgroup and its runtime's supervisor.

And the sweep that asks it of every process, for containers that are older than the sensor.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sensor.enrich import bundle, byhand, procfs
from sensor.enrich.cgroup import owner, owner_of
from sensor.enrich.supervisor import Supervisor, of_process
from sensor.wire import Runtime


@dataclass(frozen=True, slots=True)
class Origin:
    """The container of a process, with what the place where it was read says about it."""

    container: str
    runtime: Runtime
    pod_uid: str | None = None
    cgroup: str | None = None
    nested: bool = False
    supervisor: Supervisor | None = None
    """The shim or conmon that is the process's parent."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A process in a container's cgroup or below its supervisor, in a mount namespace that is not ours."""

    pid: int
    start: int
    mnt: int
    first: bool
    """Pid 1 of its own pid namespace."""
    origin: Origin


def origin(pid: int, start: int | None, hint: str | None = None, proc: Path = procfs.PROC) -> Origin | None:
    """The container that `pid` belongs to, None for a process of the host.

    `start` guards against another process that has the pid by now. `hint` is a cgroup path, or the last names
    of one, that the kernel saw: it counts where /proc says nothing any more.
    """
    stat = procfs.stat(pid, proc)
    if stat is not None and start is not None and not procfs.same_start(stat.start, start):
        stat = None
    named = owner_of(procfs.cgroups(pid, proc)) if stat is not None else None
    if named is None and hint:
        named = owner(hint)
    above = of_process(stat.ppid, proc) if stat is not None else None
    if named is None and above is not None:
        return _supervised(pid, above, proc)
    if named is None:
        made = None if stat is None else byhand.container_of(pid, stat.ppid, proc)
        if stat is None or made is None:
            return None
        return Origin(made, "unknown", cgroup=_own_cgroup(pid, stat.ppid, proc))
    runtime = named.runtime
    if above is not None and runtime in {"unknown", "cri"}:
        # The cgroup of a pod looks the same whether docker or containerd runs it.
        runtime = above.runtime
    return Origin(
        named.container, runtime, named.pod_uid, named.path, nested=named.within is not None, supervisor=above
    )


def residents(proc: Path = procfs.PROC) -> Iterator[Resident]:
    """Every process that lives in a container now. Costs one stat(2) for each other process."""
    own = procfs.namespace(os.getpid(), "mnt", proc)
    for pid in procfs.pids(proc):
        mnt = procfs.namespace(pid, "mnt", proc)
        if mnt is None or mnt == own:
            continue
        stat, status = procfs.stat(pid, proc), procfs.status(pid, proc)
        if stat is None or status is None:
            continue
        found = origin(pid, stat.start, proc=proc)
        if found is not None:
            first = len(status.nspid) > 1 and status.nspid[-1] == 1
            yield Resident(pid, stat.start, mnt, first, found)


def init_of(group: list[Resident]) -> Resident:
    """The first process of a container out of all its processes that were found.

    Pid 1 of a pid namespace where it has one; with the host's pid namespace, the oldest below the supervisor
    (an exec is below it too, but younger).
    """
    return min(group, key=lambda one: (not one.first, one.origin.supervisor is None, one.start, one.pid))


def _supervised(pid: int, above: Supervisor, proc: Path) -> Origin | None:
    """The container of a child of a supervisor whose cgroup has no name that is known."""
    container = bundle.of_init(pid, above.pid, proc) if above.serves_pod else above.container
    if container is None:
        return None
    return Origin(container, above.runtime, cgroup=_own_cgroup(pid, above.pid, proc), supervisor=above)


def _own_cgroup(pid: int, outside: int, proc: Path) -> str | None:
    """The first cgroup path of `pid` that is not the root, whatever it is called, nor also that of `outside`.

    A container without a cgroup of its own stays where its supervisor is: in a person's session, with all else
    that he runs.
    """
    theirs = set(procfs.cgroups(outside, proc))
    paths = [line.split(":", 2)[-1] for line in procfs.cgroups(pid, proc) if line not in theirs]
    return next((path for path in paths if path.strip("/")), None)
