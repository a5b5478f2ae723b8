# SPDX-License-Identifier: Apache-2.0
"""What a program is in, or has come out of, besides the namespaces that it joined. Pure.

By chroot, or by executing a file through /proc/PID/root, a process uses another container's files, or the
host's, and joins nothing: the mounts of its root, its executable and its working directory tell.
"""

from __future__ import annotations

from typing import Final

from sensor.entry.means import supervisor_index
from sensor.entry.places import Containers, Places
from sensor.probe.layout import Exec, Flag, NsSet

_INIT: Final = 1


def entered_through_files(event: Exec, places: Places) -> str | None:
    """The container whose files a process of elsewhere uses as its root, or executed. None without one."""
    if Flag.STRAY not in event.head.flags:
        return None
    own = places.container_at(event.task.ns.mnt)
    for mnt in (event.task.root_mnt, event.exe_mnt):
        if mnt != event.task.ns.mnt and (container := places.container_at(mnt)) and container != own:
            return container
    return None


def left_by_files(event: Exec, places: Places, cgroup_container: str | None, *, visitor: bool) -> str | None:
    """The container whose process has its root, executable or working directory on the host. None without.

    A visitor of the host has what is the host's from there; only one whom a runtime put into the cgroup, and
    so should have nothing of it, got out.
    """
    mnt = event.task.ns.mnt
    if Flag.STRAY not in event.head.flags or places.is_host(mnt):
        return None
    container = places.container_at(mnt)
    if container is None and Flag.INIT in event.head.flags:
        container = cgroup_container  # it starts: its mount namespace is not known yet
    if container is None or (visitor and container != cgroup_container):
        return None
    used = {event.task.root_mnt, event.exe_mnt, event.cwd_mnt} - {mnt}
    return container if any(places.is_host(each) for each in used) else None


def left_by_join(home: NsSet, joined: NsSet, places: Places) -> tuple[str, list[str]] | None:
    """The container that was left for the host's namespaces, and which of these. None where none was."""
    container = places.container_at(home.mnt)
    if container is None:
        return None
    kinds = places.hosts(joined.joined_since(home), joined)
    return (container, kinds) if kinds else None


def begins(event: Exec, joined: list[str], container: str, places: Containers) -> bool:
    """Whether it is the first program of a container, in a mount namespace that is new."""
    pid, mnt = event.head.pid, event.task.ns.mnt
    if Flag.UNWITNESSED in event.head.flags:  # who had the number may have left it: then it is new
        places.owner(joined, event.joined)
        return places.begins(container, pid)
    new_mount = mnt != event.joined.mnt or "mnt" not in joined
    return new_mount and not places.is_running(container, pid) and not places.knows_mount(mnt)


def is_orphan(event: Exec, container: str | None, cgroup_container: str | None) -> bool:
    """Whether a program that nobody saw come in is the container's own, in a pid namespace that is shared.

    There the container's first process adopts no orphans: the runtime's supervisor does, or init. A visitor
    who forks twice and moved into the cgroup looks the same.
    """
    if container is None or container != cgroup_container or event.task.pid_in_ns != event.head.pid:
        return False
    outside = [step for step in event.ancestry if step.mnt != event.task.ns.mnt]
    return bool(outside) and (outside[0].pid == _INIT or supervisor_index(tuple(outside[:1])) == 0)
