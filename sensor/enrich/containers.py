# SPDX-License-Identifier: Apache-2.0
"""Which container do these namespaces, or this cgroup, belong to? The one map that answers it.

Namespaces are known by inode number, and the kernel gives a number out again as soon as it is free: a
restarted container often gets the very number that it had. So every number stands here with a *witness*, a
process (pid and start) that was seen in that namespace. While it lives there, the number is right. Once it
is gone, the number is still believed for `GRACE_NS`, because events are read later than they happen, and
then dropped.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.cgroup import owner
from sensor.enrich.known import Known
from sensor.enrich.origin import Origin, Resident, init_of, origin, residents
from sensor.enrich.supervisor import Supervisor

GRACE_NS: Final = 5_000_000_000
"""How long a namespace is believed after its witness was found gone: a full ring is read sooner."""
MAX_CONTAINERS: Final = 8192
"""More containers on one host are refused, and counted."""


def uncounted(_name: str) -> None:
    """The counter of a caller that keeps none."""


Witness = tuple[int, int, int]
"""A mount namespace, and pid and start of a process that was seen in it."""


@dataclass(slots=True)
class _Place:
    """A mount namespace of a container, and the process that is the proof of it."""

    known: Known
    pid: int
    start: int
    gone: int | None = None
    """When the witness was first found gone, monotonic ns."""


class Containers:
    """Every container that runs, by mount namespace, by id and by cgroup. For any number of threads."""

    def __init__(
        self,
        proc: Path = procfs.PROC,
        count: Callable[[str], None] = uncounted,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._proc = proc
        self._count = count
        self._clock = clock
        self._lock = threading.RLock()
        self._places: dict[int, _Place] = {}
        self._by_id: dict[str, Known] = {}
        self._by_cgroup: dict[str, Known] = {}
        self._touched: set[str] = set()
        self.believes = False
        """While what happened before is read: a namespace is a container's until its stop is read, although its
        processes are gone by now."""
        self.found: Callable[[Known], None] | None = None
        """Told of a container that was found because somebody visited it."""
        self.moved: Callable[[Known], None] | None = None
        """Told of a container whose first process is in another mount namespace than before."""

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Known]:
        """Every container that is known now."""
        with self._lock:
            return list(self._by_id.values())

    def find_in(self, mounts: Set[int]) -> list[Known]:
        """The containers that are new in these mount namespaces, by a look at every process. Drops nothing."""
        groups: dict[str, list[Resident]] = defaultdict(list)
        for resident in residents(self._proc):
            if resident.mnt in mounts:
                groups[resident.origin.container].append(resident)
        with self._lock:
            found = [self._adopt(group) for group in groups.values()]
        return [known for known in found if known is not None]

    def sweep(self) -> list[Known]:
        """Look at every process, and bring the map up to date; the containers that are new in it.

        For the sensor's start, and after events of the kernel were lost. Containers whose init is gone are
        dropped. Takes some 50 microseconds for each process of a container, 5 for each other.
        """
        groups: dict[str, list[Resident]] = defaultdict(list)
        for resident in residents(self._proc):
            groups[resident.origin.container].append(resident)
        with self._lock:
            for mnt, place in list(self._places.items()):
                if not self._witnessed(mnt, place):
                    self._leave(mnt, place)
            found = [self._adopt(group) for group in groups.values()]
        return [known for known in found if known is not None]

    def started(
        self,
        init_pid: int,
        start: int,
        mnt: int,
        cgroup_leaf: str,
        cgroup_parent: str,
        ns: dict[str, int],
    ) -> Known | None:
        """A first program ran in mount namespace `mnt`; the container that it is the start of.

        None where it is none: a service with a mount namespace of its own, or a process of a running
        container, be it the first, that made itself another one (`at_mount` answers for that one too). The same
        start told twice gives the same container.
        """
        found = origin(init_pid, start, f"{cgroup_parent}/{cgroup_leaf}", self._proc)
        if found is None:
            with self._lock:
                self._claim(mnt, None)
            return None
        caps = self._caps(init_pid)
        with self._lock:
            return self._enter(found, init_pid, start, {**ns, "mnt": mnt}, caps)

    def stopped(self, mnt: int, init_pid: int) -> Known | None:
        """The first process of mount namespace `mnt` ended; the container that stopped with it, if any."""
        with self._lock:
            known = next((each for each in self._by_id.values() if each.init_pid == init_pid), None)
            if known is not None:  # whichever namespace it ended in
                self._forget(known)
                return known
            place = self._places.get(mnt)
            if place is not None and place.pid == init_pid:
                self._leave(mnt, place)
            return None

    def at_mount(self, inum: int) -> Known | None:
        """The container that this mount namespace belongs to. Reads two files of its witness."""
        with self._lock:
            place = self._places.get(inum)
            if place is None:
                return None
            if self.believes or self._witnessed(inum, place):
                return place.known
            if self._moved(inum, place):
                self._leave(inum, place)
                return None
            if place.gone is None:
                place.gone = self._clock()
            if self._clock() - place.gone < GRACE_NS:
                return place.known
            self._count("containers.stale")
            self._leave(inum, place)
            return None

    def waiting_at(self, mnt: int) -> Known | None:
        """The container whose mount namespace this is, and which no program of its own has run in yet.

        Its runtime's process waits there to be started, or its first process made it for itself. Looks at every
        process: for visitors of a namespace that is not known alone.
        """
        group = [resident for resident in residents(self._proc) if resident.mnt == mnt]
        if not group:
            return None
        with self._lock:
            known = self._adopt(group)
        if known is not None and self.found is not None:
            self.found(known)
        return known or self.at_mount(mnt)

    def sharing(self, kind: str, inum: int) -> list[Known]:
        """The containers whose namespace this is: several share it.

        Not those that were given their supervisor's, as with `--network host`: who joins that one enters no
        container. It need not be the host's, for a daemon may stand in one of its own.
        """
        with self._lock:
            return [
                known
                for known in self._by_id.values()
                if known.namespaces.get(kind) == inum and kind not in known.lent
            ]

    def by_id(self, container_id: str) -> Known | None:
        """The running container of this id."""
        return self._by_id.get(container_id)

    def of_cgroup(self, path: str) -> str | None:
        """Id of the container that a cgroup path, or the last two names of one, belongs to.

        A container need not be in the map for it: most paths name it. Of a nested path only the container
        around it is told unless the inner one is in the map.
        """
        with self._lock:
            known = self._by_cgroup.get(_key(path))
        if known is not None:
            return known.id
        found = owner(path)
        return None if found is None else found.outermost.container

    def _adopt(self, group: list[Resident]) -> Known | None:
        """A container found by its processes, None if it was known."""
        init = init_of(group)
        known = self._by_id.get(init.origin.container)
        if known is not None and self._is_init(known, init.pid, init.start) and init.mnt == known.mnt:
            return None
        namespaces = procfs.namespaces(init.pid, proc=self._proc)
        if not namespaces or "mnt" not in namespaces:
            return None  # it ended meanwhile
        return self._enter(init.origin, init.pid, init.start, namespaces, self._caps(init.pid))

    def adopt(self, known: Known) -> None:
        """Take in a container that somebody else has found."""
        with self._lock:
            self._by_id[known.id] = known
            if known.mnt is not None:
                self._claim(known.mnt, _Place(known, known.init_pid, known.init_start))

    def touch(self, known: Known) -> None:
        """More is known of it now."""
        with self._lock:
            self._touched.add(known.id)

    def changed(self, *, everything: bool = False) -> dict[str, tuple[Known, list[Witness]] | None]:
        """Containers that changed since the last call, by id, with their witnesses; None for those that are gone."""
        with self._lock:
            touched, self._touched = self._touched, set()
            if everything:
                touched |= self._by_id.keys()
            return {
                each: None if (known := self._by_id.get(each)) is None else (known, self._witnesses(known))
                for each in touched
            }

    def _witnesses(self, known: Known) -> list[Witness]:
        return [(mnt, place.pid, place.start) for mnt, place in self._places.items() if place.known is known]

    def recall(self, known: Known, witnesses: list[Witness]) -> None:
        """Go on with a container of the sensor before, whether it runs still or not."""
        with self._lock:
            self._by_id[known.id] = known
            if known.cgroup is not None:
                self._by_cgroup[_key(known.cgroup)] = known
            for mnt, pid, start in witnesses:
                self._places[mnt] = _Place(known, pid, start)

    def _enter(
        self, found: Origin, pid: int, start: int, namespaces: dict[str, int], caps: str | None
    ) -> Known | None:
        mnt = namespaces["mnt"]
        running = self._by_id.get(found.container)
        if running is not None:
            if self._is_init(running, pid, start):
                if running.mnt == mnt:
                    return running
                self._move(running, namespaces)
                return None
            if self._alive(running):
                self._claim(mnt, _Place(running, pid, start))
                return None
            self._forget(running)
        if len(self._by_id) >= MAX_CONTAINERS:
            self._count("containers.too_many")
            return None
        known = Known(
            found.container,
            pid,
            start,
            namespaces,
            found.runtime,
            caps,
            pod_uid=found.pod_uid,
            cgroup=found.cgroup,
            nested=found.nested,
            supervisor=found.supervisor,
            lent=self._lent(found.supervisor, namespaces),
        )
        self._by_id[known.id] = known
        self._touched.add(known.id)
        self._claim(mnt, _Place(known, pid, start))
        if known.cgroup is not None:
            self._by_cgroup[_key(known.cgroup)] = known
        return known

    def _move(self, running: Known, namespaces: dict[str, int]) -> None:
        """Its first process made itself other namespaces: who enters the container joins these."""
        running.namespaces = {**running.namespaces, **namespaces}
        self._touched.add(running.id)
        self._claim(namespaces["mnt"], _Place(running, running.init_pid, running.init_start))
        if self.moved is not None:
            self.moved(running)

    def _lent(self, supervisor: Supervisor | None, namespaces: dict[str, int]) -> frozenset[str]:
        above = procfs.namespaces(supervisor.pid, proc=self._proc) if supervisor else None
        return frozenset(kind for kind, inum in (above or {}).items() if namespaces.get(kind) == inum)

    def _claim(self, mnt: int, place: _Place | None) -> None:
        """Say that `mnt` is a namespace of `place` from now on, or of no container (None).

        Refused while the witness that stands there is alive: the kernel's programs call a namespace new when
        it is only new to them.
        """
        previous = self._places.get(mnt)
        if previous is not None:
            if self._witnessed(mnt, previous):
                return
            self._leave(mnt, previous)
        if place is not None:
            self._places[mnt] = place
            self._touched.add(place.known.id)

    def _leave(self, mnt: int, place: _Place) -> None:
        self._touched.add(place.known.id)
        if place.pid == place.known.init_pid and not self._moved(mnt, place):
            self._forget(place.known)
        elif self._places.get(mnt) is place:
            del self._places[mnt]

    def _moved(self, mnt: int, place: _Place) -> bool:
        """Whether the witness lives and has left this namespace for another, and not the container."""
        now = procfs.namespace(place.pid, "mnt", self._proc)
        return now not in {None, mnt} and self._alive(place.known)

    def _forget(self, known: Known) -> None:
        self._touched.add(known.id)
        self._places = {mnt: place for mnt, place in self._places.items() if place.known is not known}
        for index, key in ((self._by_id, known.id), (self._by_cgroup, _key(known.cgroup or ""))):
            if index.get(key) is known:
                del index[key]

    def _witnessed(self, mnt: int, place: _Place) -> bool:
        """Whether the witness lives, and still in this namespace: it could have joined another."""
        start = procfs.stat_start(place.pid, self._proc)
        if start is None or not procfs.same_start(start, place.start):
            return False
        return procfs.namespace(place.pid, "mnt", self._proc) == mnt

    def _alive(self, known: Known) -> bool:
        start = procfs.stat_start(known.init_pid, self._proc)
        return start is not None and procfs.same_start(start, known.init_start)

    def _is_init(self, known: Known, pid: int, start: int) -> bool:
        return known.init_pid == pid and procfs.same_start(known.init_start, start)

    def _caps(self, pid: int) -> str | None:
        status = procfs.status(pid, self._proc)
        return None if status is None else status.caps_bounding


def _key(path: str) -> str:
    """The last two names of a cgroup path, all that the kernel's events carry. Empty for the root."""
    return "/".join(path.strip("/").rsplit("/", 2)[-2:])
