# SPDX-License-Identifier: Apache-2.0
"""Whom a crossing may belong to: the process outside itself, or one of those who could ask a daemon for it.

Looked at when the crossing begins, for a client is gone soon after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.sockets import serves
from sensor.enrich.supervisor import of_argv
from sensor.entry.lineage import Lineage
from sensor.entry.means import supervisor_index
from sensor.probe.contacts import Contact
from sensor.probe.layout import Exec, Facts, Reached, Setns, Step
from sensor.probe.requests import Requests
from sensor.who import podman
from sensor.who.callers import Callers, Residence, Told
from sensor.who.clients import Clients
from sensor.wire import Caller, Client

_UNSET: Final = 0xFFFFFFFF
_RUNTIMES: Final = ("runc", "crun", "youki", "runsc", "kata-runtime")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who it may be. Without a `caller` it is one of `clients`, unless `unseen` says why that is not all."""

    caller: Caller | None = None
    clients: list[Client] = field(default_factory=list)
    unseen: str | None = None


class Asking:
    """Answers for each crossing, on the probe's thread."""

    def __init__(self, lineage: Lineage, callers: Callers, clients: Clients) -> None:
        self._lineage = lineage
        self._callers = callers
        self.clients = clients
        self.requests: Requests | None = None
        """Of the programs that are loaded now."""

    @classmethod
    def on_this_host(
        cls,
        lineage: Lineage,
        residence: Residence,
        user_name: Callable[[int], str | None],
        wall: Callable[[int], int],
    ) -> Asking:
        """With all that it needs. `wall`: the host's clock at a moment since boot."""
        callers = Callers(lineage, residence, user_name)
        return cls(lineage, callers, Clients(callers, wall))

    def contacted(self, seen: Contact) -> None:
        """Somebody connected to a daemon's socket, by the kernel's word."""
        task = seen.task
        step = _step(seen.head.pid, seen.head.start, task.ns.mnt, task)
        self._lineage.remember(step, seen.exe, seen.argv)
        tty = procfs.terminal_of(task.tty_major, task.tty_minor)
        told = Told(task.login_uid, task.login_session, tty, seen.ancestry)
        self.clients.connected(step, seen.socket, seen.head.time, told)

    def by_id(self, asked: Asked, exec_id: str | None) -> Asked:
        """The one client that asked for this exec, where the kernel saw that; else what was known before."""
        request = self.requests.of(exec_id) if self.requests and exec_id and asked.caller is None else None
        client = self.clients.asker(request.pid, request.time) if request else None
        return Asked(clients=[client]) if client else asked

    def of_setns(self, event: Setns) -> Asked:
        """Of a crossing that the kernel saw begin."""
        step = _step(event.head.pid, event.head.start, event.home.mnt, event.task)
        return self._of(step, event.task, event.ancestry, event.head.time)

    def of_reached(self, event: Reached) -> Asked:
        """Of one who moved a process of his into a container's cgroup, or reached into one."""
        login = event.by.login_uid
        now = procfs.login(event.by.pid)
        session = now["session"] if now and now["uid"] == login else None
        told = Told(login, _UNSET if session is None else session, above=event.ancestry)
        return Asked(self._callers.of(event.by, told))

    def of_exec(self, event: Exec) -> Asked:
        """Of one that is inside by now, of whom nobody saw how he came in."""
        step = _step(event.head.pid, event.head.start, event.parent.mnt, event.task)
        return self._of(step, event.task, event.ancestry, event.head.time)

    def writer(self, step: Step, told: Told, exe: str | None, argv: list[str] | None) -> Caller:
        """Whom a process belongs to that was looked at when the kernel told of it."""
        self._lineage.remember(step, exe, argv)
        return self._callers.of(step, told)

    def of_daemon_at(self, place: str, at: int) -> Asked:
        """Of what the daemon whose socket is at `place` did at a time by its clock, ns."""
        self.clients.look()
        sockets = self.clients.sockets_beside(place)
        moment = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - max(0, time.time_ns() - at)
        return Asked(None, self.clients.at(moment, sockets), self.clients.unseen(sockets))

    def _of(self, step: Step, task: Facts, chain: tuple[Step, ...], moment: int) -> Asked:
        index = supervisor_index(chain)
        if index is not None and all(self._lineage.side(each.mnt) != "container" for each in chain[:index]):
            supervisor = chain[index]
            if supervisor.comm != "conmon":
                return self._of_daemon(supervisor, moment)
            return self._of_podman(supervisor, task, chain[index + 1 :], moment)
        above = 0
        while above < len(chain) and chain[above].comm.startswith(_RUNTIMES):
            above += 1
        if above:
            step = chain[above - 1]
        tty = procfs.terminal_of(task.tty_major, task.tty_minor)
        return Asked(self._callers.of(step, Told(task.login_uid, task.login_session, tty, chain[above:])))

    def _of_daemon(self, supervisor: Step, moment: int) -> Asked:
        argv = self._lineage.look(supervisor.pid, supervisor.start, supervisor.comm).argv
        shim = of_argv(argv or [])
        self.clients.look()
        sockets = self.clients.of_daemon(shim.address if shim else None)
        return Asked(None, self.clients.at(moment, sockets), self.clients.unseen(sockets))

    def _of_podman(self, conmon: Step, task: Facts, above: tuple[Step, ...], moment: int) -> Asked:
        pid = podman.caller(conmon.pid)
        step = self._callers.now(pid) if pid else None
        if step is None:
            # It left the tree, but not its login.
            return Asked(self._callers.of(conmon, Told(task.login_uid, task.login_session, None, above)))
        caller = self._callers.of(step)
        return self._of_service(step, moment) if serves(caller["argv"]) else Asked(caller)

    def _of_service(self, service: Step, moment: int) -> Asked:
        self.clients.look()
        sockets = self.clients.sockets_of(service.pid)
        return Asked(None, self.clients.at(moment, sockets), self.clients.unseen(sockets))


def _step(pid: int, start: int, mnt: int, task: Facts) -> Step:
    return Step(start, pid, task.uid, mnt, task.login_uid, task.comm)
