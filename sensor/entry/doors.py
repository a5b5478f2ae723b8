# SPDX-License-Identifier: Apache-2.0
"""Answers the tracker's questions from the map of containers: whose namespaces, whose cgroup."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.containers import Containers
from sensor.entry.crossing import Owner
from sensor.entry.daemons import copies, is_daemon
from sensor.entry.lineage import Side
from sensor.probe.layout import NsSet, Setns, Step

_FIELDS: Final = {"pid": "pid_for_children", "time": "time_for_children"}
"""setns changes only the one that children will be born in."""


class Doors:
    """The containers of this host, as the tracker asks for them."""

    def __init__(
        self, containers: Containers, host: Mapping[str, int], proc: Path | None = procfs.PROC
    ) -> None:
        """`host` holds the inode numbers of the host's own namespaces, by kind; that of "mnt" must be there.

        No `proc`: the processes are those of another time.
        """
        self._proc = proc
        self._containers = containers
        self._host = host
        self.host_mnt = host["mnt"]

    def owner(self, kinds: list[str], ns: NsSet) -> Owner:
        """Only a mount namespace is always a container's own; of the others, those that agree tell.

        The host's own namespaces are nobody's, although containers may be in them.
        """
        if "mnt" in kinds:
            known = self._containers.at_mount(ns.mnt)
            if known is None and ns.mnt != self.host_mnt:
                known = self._containers.waiting_at(ns.mnt)
            if known or ns.mnt != self.host_mnt:
                return Owner(known.id if known else None)
        candidates: set[str] | None = None
        for kind in kinds:
            inum = getattr(ns, _FIELDS.get(kind, kind))
            if inum == self._host.get(kind):
                continue
            ids = {known.id for known in self._containers.sharing(kind, inum)}
            if ids:
                candidates = ids if candidates is None else candidates & ids
        if candidates is None:
            return Owner(None)
        return Owner(candidates.pop()) if len(candidates) == 1 else Owner(None, shared=True)

    def by_cgroup(self, leaf: str, parent: str) -> str | None:
        """Id of the container that the last two names of a cgroup path belong to."""
        return self._containers.of_cgroup(f"{parent}/{leaf}")

    def inside(self, mnt: int, leaf: str, parent: str) -> str | None:
        """Id of the container that a process is in: by its mount namespace, or else by its cgroup."""
        return self.container_at(mnt) or (self.by_cgroup(leaf, parent) if leaf else None)

    def knows_mount(self, mnt: int) -> bool:
        """Whether this is the host's mount namespace, or that of a container that runs."""
        return mnt == self.host_mnt or self._containers.at_mount(mnt) is not None

    def is_running(self, container: str, pid: int) -> bool:
        """Whether a container runs by now, and `pid` is not its first process."""
        known = self._containers.by_id(container)
        return (
            known is not None
            and known.init_pid != pid
            and known.mnt is not None
            and self._containers.at_mount(known.mnt) is known
        )

    def begins(self, container: str, pid: int) -> bool:
        """Whether `pid` is the first process of a container."""
        known = self._containers.by_id(container)
        return known is not None and known.init_pid == pid

    def is_host(self, mnt: int) -> bool:
        """Whether this is the host's mount namespace."""
        return mnt == self.host_mnt

    @property
    def host_namespaces(self) -> NsSet:
        """The host's own; kinds that are not known are 0."""
        return NsSet(*(self._host.get(kind, 0) for kind in NsSet._fields))

    def container_at(self, mnt: int) -> str | None:
        """Id of the container that a mount namespace belongs to."""
        if mnt == self.host_mnt:
            return None
        known = self._containers.at_mount(mnt)
        return known.id if known else None

    def name_of(self, container: str) -> str | None:
        """What people call a container."""
        known = self._containers.by_id(container)
        return known.container["name"] if known else None

    def hosts(self, kinds: list[str], ns: NsSet) -> list[str]:
        """Those of the kinds whose namespace is the host's own."""
        return [kind for kind in kinds if getattr(ns, _FIELDS.get(kind, kind)) == self._host.get(kind)]

    def side(self, mnt: int) -> Side:
        """On which side of the door a process in this mount namespace stands."""
        if mnt == self.host_mnt:
            return "host"
        return "container" if self._containers.at_mount(mnt) else "unknown"

    def is_daemon(self, step: Step) -> bool:
        """Whether this process sets up networks for containers."""
        return is_daemon(step, self._proc)

    def copies(self, event: Setns) -> bool:
        """Whether it is a daemon of the host itself that joined: it copies files."""
        return copies(event) and self.container_at(event.home.mnt) is None
