# SPDX-License-Identifier: Apache-2.0
"""By which marks the kernel knows a container from outside: its cgroup, and the file system of its root."""

from __future__ import annotations

from sensor.enrich import cgroupfs, rootfs
from sensor.enrich.cgroup import owner
from sensor.enrich.known import Known
from sensor.probe import Probe


class Landmarks:
    """Tells the kernel of them when a container is found, and that they are nobody's when it stops."""

    def __init__(self) -> None:
        self._cgroups: dict[str, list[int]] = {}
        self._roots: dict[str, int] = {}

    def know(self, probe: Probe, known: Known) -> None:
        """Have it told who uses this container's cgroup, or its files, and none of its namespaces."""
        if known.mnt is None:
            return
        for number in self._numbers(known):
            probe.know_cgroup(number, known.mnt)
        device = rootfs.device(known.init_pid)
        if device is not None:
            self._roots[known.id] = device
            probe.know_root(device, known.mnt)

    def _numbers(self, known: Known) -> list[int]:
        """Of its cgroup's folders, where the path names this container and none around it."""
        if known.cgroup is None:
            return []
        named = owner(known.cgroup)
        if not (named.container == known.id if named else known.cgroup.endswith(f"/{known.id}")):
            return []
        self._cgroups[known.id] = numbers = cgroupfs.numbers(known.cgroup)
        return numbers

    def forget(self, probe: Probe | None, known: Known) -> None:
        """It has stopped: the numbers may be another's at once."""
        numbers, device = self._cgroups.pop(known.id, ()), self._roots.pop(known.id, None)
        if probe is None:
            return
        for number in numbers:
            probe.forget_cgroup(number)
        if device is not None:
            probe.forget_root(device)
