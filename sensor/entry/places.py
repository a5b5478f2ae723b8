# SPDX-License-Identifier: Apache-2.0
"""What the decisions ask of the containers that are known: by namespace, by cgroup, by process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sensor.entry.crossing import Owner
from sensor.probe.layout import NsSet, Setns, Step

Inside = Callable[[int, str, str], str | None]
"""Which container it is: by a mount namespace, or else by the last two names of a cgroup's path."""


class Places(Protocol):
    """What is known of mount namespaces."""

    def container_at(self, mnt: int) -> str | None:
        """The container that a mount namespace belongs to."""

    def is_host(self, mnt: int) -> bool:
        """Whether it is the host's."""

    def hosts(self, kinds: list[str], ns: NsSet) -> list[str]:
        """Those of the kinds whose namespace is the host's own."""


class Containers(Places, Protocol):
    """What is known of containers, by namespace and by cgroup."""

    def owner(self, kinds: list[str], ns: NsSet) -> Owner:
        """The container that the namespaces of these kinds belong to."""

    def is_daemon(self, step: Step) -> bool:
        """Whether this process sets up networks for containers."""

    def copies(self, event: Setns) -> bool:
        """Whether it is a container daemon that joined, to copy files."""

    def by_cgroup(self, leaf: str, parent: str) -> str | None:
        """The container id that the last components of a cgroup's path name."""

    def knows_mount(self, mnt: int) -> bool:
        """Whether this mount namespace belongs to a container that runs, or to the host."""

    def begins(self, container: str, pid: int) -> bool:
        """Whether `pid` is the first process of a container."""

    def is_running(self, container: str, pid: int) -> bool:
        """Whether a container runs by now, and `pid` is not its first process."""
