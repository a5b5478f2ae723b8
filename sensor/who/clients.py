# SPDX-License-Identifier: Apache-2.0
"""Who was connected to the runtimes' daemons when one of them came into a container.

Two witnesses: the kernel tells of each connect(2) to a daemon's socket, and the daemons' own sockets are looked at
when a visit begins, which knows no times but also those that connected before the sensor was there.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from sensor.enrich import procfs
from sensor.enrich.sockets import daemons
from sensor.probe.layout import Step
from sensor.who.callers import Callers, Told
from sensor.who.peers import Held, Peers, RefusedError
from sensor.wire import MAX_CLIENTS, Caller, Client

KEPT_NS: Final = 10_000_000_000
"""How long one that is gone is remembered: `docker exec -d` does not wait."""
MAX_KEPT: Final = 256
MAX_TIMES: Final = 8
"""Connections of one client whose times are kept; the latest."""
_FIND_S: Final = 5.0
_REST_NS: Final = 2_000_000
"""The daemons' sockets are not looked at again within this time."""


@dataclass(slots=True)
class _One:
    """A client, and what was learned of it at its latest connection."""

    caller: Caller
    socket: str
    witness: Literal["connect", "held"]
    connected: list[int] = field(default_factory=list)
    """Since boot."""
    seen: int = 0
    """When it was last known to be connected. Since boot."""


class Clients:
    """The clients of this host's daemons, by process."""

    def __init__(
        self,
        callers: Callers,
        wall: Callable[[int], int],
        proc: Path = procfs.PROC,
        clock: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._callers = callers
        self._wall = wall
        self._proc = proc
        self._clock = clock
        self._clients: OrderedDict[tuple[int, int], _One] = OrderedDict()
        self._daemons: dict[int, Peers] = {}
        self._found = -_FIND_S
        self._looked = 0
        self._held: dict[int, list[Held]] = {}
        """What the latest look found, by daemon."""
        self._gone: list[str] = []
        """The sockets of those who connected and are gone, while somebody has the connection still."""
        self._met: set[str] = set()
        """Connections whose maker was there at a look before."""
        self._refused: str | None = None

    def connected(self, step: Step, path: str, at: int, told: Told | None = None) -> None:
        """A process connected to a daemon's socket, by the kernel's word. `at`: nanoseconds since boot."""
        if self._is_plumbing(step.pid, step.comm):
            return
        one = self._note(step, path, "connect", told)
        one.connected = [*one.connected, at][-MAX_TIMES:]
        one.seen = at

    def of_daemon(self, address: str | None) -> frozenset[str] | None:
        """Sockets by which the containerd at `address`, or a daemon above it, can be asked; None: all may be."""
        below = {pid for pid, held in self._held.items() if any(each.path == address for each in held)}
        if address is None or not below:
            return None
        above = {each.pid for pid in below for each in self._held[pid] if each.path == address}
        asked = [self._held[pid] for pid in below | (above & self._held.keys())]
        return frozenset(each.path for held in asked for each in held)

    def sockets_of(self, pid: int) -> frozenset[str]:
        """Sockets by which a daemon can be asked, of those that are in use."""
        return frozenset(each.path for each in self._held.get(pid, ()))

    def sockets_beside(self, path: str) -> frozenset[str] | None:
        """Sockets that are in use of the daemon that listens at `path`; None where it is not known: all may be."""
        mine = [held for held in self._held.values() if any(each.path == path for each in held)]
        return frozenset(each.path for held in mine for each in held) or None

    def look(self) -> None:
        """See who is connected now."""
        now = self._clock()
        if now - self._looked < _REST_NS:
            return
        self._looked = now
        self._find()
        self._refused = None
        self._held.clear()
        gone: list[str] = []
        met: set[str] = set()
        here: set[str] = set()
        for daemon in list(self._daemons.values()):
            try:
                held = daemon.now()
            except RefusedError as error:
                self._refused = f"a daemon's connections cannot be asked of: {error.strerror}"
                continue
            self._held[daemon.pid] = held
            here |= {each.inode for each in held}
            for each in held:
                step = self._callers.now(each.pid)
                if step is None:
                    if each.inode not in self._met:
                        gone.append(each.path)
                    continue
                met.add(each.inode)
                if self._is_plumbing(step.pid, step.comm):
                    continue
                known = self._clients.get(_key(step))
                one = known or self._note(step, each.path, "held", None)
                one.seen, one.socket = now, each.path
        self._gone, self._met = gone, met | {inode for inode in self._met if inode in here}

    def at(self, moment: int, sockets: frozenset[str] | None = None) -> list[Client]:
        """Those who were connected at a moment since boot, or shortly before, the latest first.

        To one of `sockets`, where the daemon is known.
        """
        self._forget(moment)
        now = [
            one
            for one in self._clients.values()
            if (not one.connected or one.connected[0] <= moment) and (not sockets or one.socket in sockets)
        ]
        now.sort(key=lambda one: (one.connected[-1] if one.connected else 0, one.seen), reverse=True)
        return [self._client(one) for one in now[:MAX_CLIENTS]]

    def asker(self, pid: int, moment: int) -> Client | None:
        """The client `pid`, who asked at a moment since boot for the very visit that is looked at."""
        found = [
            one
            for one in self._clients.values()
            if one.caller["pid"] == pid and one.caller["start"] <= moment
        ]
        if not found:
            step = self._callers.now(pid)
            if step is None or step.start > moment:
                return None
            found = [self._note(step, "", "held", None)]
        return {**self._client(found[-1]), "asked": True}

    def unseen(self, sockets: frozenset[str] | None = None) -> str | None:
        """Why not all who were connected can be known, in words."""
        gone = sum(not sockets or path in sockets for path in self._gone)
        if self._refused is None and gone:
            return f"{gone} of the processes that connected to the daemon are gone, and others use it in their place"
        return self._refused

    def _client(self, one: _One) -> Client:
        start = procfs.stat_start(one.caller["pid"], self._proc)
        gone = start is None or not procfs.same_start(start, one.caller["start"])
        return Client(
            caller=one.caller,
            socket=one.socket,
            connected=[self._wall(at) for at in one.connected],
            closed=gone or (self._refused is None and one.seen < self._looked),
            witness=one.witness,
        )

    def _note(self, step: Step, path: str, witness: Literal["connect", "held"], told: Told | None) -> _One:
        key = _key(step)
        one = self._clients.pop(key, None)
        if one is None or one.caller["comm"] != step.comm:
            # The same process with another program connects as what it is now.
            before = one
            one = _One(self._callers.of(step, told), path, witness)
            if before is not None:
                one.connected, one.witness = before.connected, before.witness
        self._clients[key] = one
        while len(self._clients) > MAX_KEPT:
            self._clients.popitem(last=False)
        return one

    def _forget(self, now: int) -> None:
        for key, one in list(self._clients.items()):
            if one.seen < self._looked and one.seen < now - KEPT_NS:
                del self._clients[key]

    def _find(self) -> None:
        """The daemons that run now. Reads the name of every process."""
        if time.monotonic() - self._found < _FIND_S and all(self._alive(pid) for pid in self._daemons):
            return
        self._found = time.monotonic()
        pids = set(daemons(self._proc))
        self._daemons = {pid: self._daemons.get(pid) or Peers(pid, self._proc) for pid in pids}

    def _alive(self, pid: int) -> bool:
        return procfs.comm(pid, self._proc) is not None

    def _is_plumbing(self, pid: int, comm: str) -> bool:
        """Whether it is a part of the runtimes, or this sensor: they ask without being asked."""
        return pid == os.getpid() or pid in self._daemons or comm.startswith("containerd-shim")


def _key(step: Step) -> tuple[int, int]:
    """The kernel's word and /proc's name a process alike by it: /proc has its start in ticks."""
    return step.pid, step.start // procfs.TICK_NS
