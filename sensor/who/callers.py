# SPDX-License-Identifier: Apache-2.0
"""A process outside, and whom it belongs to: read while it and those above it are still there."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sensor.enrich import procfs
from sensor.enrich.cgroup import owner_of
from sensor.entry.lineage import Lineage, login_of
from sensor.probe.layout import Step
from sensor.who import ssh
from sensor.who.chain import SWITCHES, Link, Session, session_of, unit_of
from sensor.wire import Caller, Login

_STEPS: Final = 64
_REMEMBERED: Final = 512
_LOOK_S: Final = 2.0
_MISS_S: Final = 0.2
"""How long a look for the opener of an audit session is good for."""
_UNSET: Final = 0xFFFFFFFF
_OPENERS: Final = ssh.NAMES | {"login"}


class Residence(Protocol):
    """Whose a mount namespace is, and what a container is called."""

    def container_at(self, mnt: int) -> str | None:
        """Id of the container that a mount namespace belongs to."""

    def name_of(self, container: str) -> str | None:
        """What people call it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the kernel said of a process: good also when it is gone. `login_uid` and session: -1 is none."""

    login_uid: int
    login_session: int
    tty: str | None = None
    above: tuple[Step, ...] = ()


class Callers:
    """Reads /proc, bounded, and never waits."""

    def __init__(
        self,
        lineage: Lineage,
        residence: Residence,
        user_name: Callable[[int], str | None],
        proc: Path = procfs.PROC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lineage = lineage
        self._residence = residence
        self._name = user_name
        self._proc = proc
        self._clock = clock
        self._peers: OrderedDict[tuple[int, int], str | None] = OrderedDict()
        self._sessions: tuple[float, dict[int, Link]] = (-_LOOK_S, {})

    def of(self, step: Step, told: Told | None = None) -> Caller:
        """The process `step`, as the kernel saw it; `told` is what else the kernel knows of it."""
        here = procfs.stat(step.pid, self._proc)
        alive = here is not None and procfs.same_start(here.start, step.start)
        cgroups = procfs.cgroups(step.pid, self._proc) if alive else []
        exe, argv = self._lineage.look(step.pid, step.start, step.comm)
        session = session_of(list(self._chain(step, told)))
        login = self._login(step, told, alive=alive)
        container = self._container(step.mnt, cgroups)
        source, ended = self._source(session, login)
        unit = unit_of(cgroups)
        opener = session.opener
        if container is not None:
            opener = "container"
        elif opener == "unknown" and source is not None:
            opener = "ssh"
        elif opener == "unknown" and unit is not None and login is None:
            opener = "service"
        if login is None and session.opener == "ssh" and session.uid is not None and container is None:
            # Without pam_loginuid: whom sshd opened the session for.
            login = Login(uid=session.uid, user=self._name(session.uid), session=None)
        return Caller(
            pid=step.pid,
            start=step.start,
            comm=step.comm,
            exe=exe,
            argv=argv,
            uid=step.uid,
            user=self._name(step.uid),
            login=login,
            tty=(here.tty if here and alive else None) or (told.tty if told else None),
            opener=opener,
            source=source,
            via=list(session.via),
            unit=unit,
            container_id=container,
            container_name=self._residence.name_of(container) if container else None,
            login_ended=ended,
        )

    def now(self, pid: int) -> Step | None:
        """A process as it is now; None when it is gone."""
        here, status = procfs.stat(pid, self._proc), procfs.status(pid, self._proc)
        if here is None or status is None:
            return None
        mnt = procfs.namespace(pid, "mnt", self._proc) or 0
        return Step(here.start, pid, status.uid, mnt, _UNSET, here.comm)

    def _chain(self, step: Step, told: Told | None) -> Iterator[Link]:
        """The process and those above it: as the kernel saw them, then as /proc has them."""
        yield self._link(step)
        last = step.pid
        count = 0
        for above in told.above if told else ():
            yield self._link(above)
            last, count = above.pid, count + 1
        while count < _STEPS and last > 1:
            known = self.now(procfs.parent(last, self._proc) or 0)
            if known is None:
                return
            yield Link(known.pid, known.start, known.uid, known.comm)
            last, count = known.pid, count + 1

    def _link(self, step: Step) -> Link:
        """What the kernel told has the real user: sudo has that of who called it, and works as root."""
        uid = step.uid
        if uid and step.comm in SWITCHES:
            known = self.now(step.pid)
            if known is not None and procfs.same_start(known.start, step.start):
                uid = known.uid
        return Link(step.pid, step.start, uid, step.comm)

    def _login(self, step: Step, told: Told | None, *, alive: bool) -> Login | None:
        if told is not None:
            return login_of(told.login_uid, told.login_session, self._name)
        found = procfs.login(step.pid, self._proc) if alive else None
        return Login(**{**found, "user": self._name(found["uid"])}) if found else None

    def _container(self, mnt: int, cgroups: list[str]) -> str | None:
        at = self._residence.container_at(mnt)
        named = owner_of(cgroups) if at is None else None
        return at or (named.outermost.container if named else None)

    def _source(self, session: Session, login: Login | None) -> tuple[str | None, bool | None]:
        """The far end of the ssh session, and whether the login has ended."""
        if session.opener == "ssh" and session.by is not None:
            return self._peer(session.by), False
        number = login["session"] if login else None
        if number is None:
            return None, None
        if session.opener in {"console", "user-manager"}:
            return None, False
        by = self._opener(number)
        if by is None:
            return None, session.opener != "cron"
        return (self._peer(by) if by.comm in ssh.NAMES else None), False

    def _peer(self, by: Link) -> str | None:
        key = (by.pid, by.start)
        if key not in self._peers:
            self._peers[key] = ssh.peer(by.pid, self._proc)
            if len(self._peers) > _REMEMBERED:
                self._peers.popitem(last=False)
        return self._peers[key]

    def _opener(self, number: int) -> Link | None:
        """Who opened this audit session, if that one is still there: one that began or ended since is looked for."""
        for age in (_LOOK_S, _MISS_S):
            by = self._openers(age).get(number)
            step = self.now(by.pid) if by is not None else None
            if by is not None and step is not None and step.start == by.start:
                return by
        return None

    def _openers(self, age: float) -> dict[int, Link]:
        """Who opened each audit session, for processes that left the tree; as it was at most `age` s ago."""
        at, found = self._sessions
        if self._clock() - at < age:
            return found
        found = {}
        for pid in procfs.pids(self._proc):
            if procfs.comm(pid, self._proc) not in _OPENERS:
                continue
            login, step = procfs.login(pid, self._proc), self.now(pid)
            number = login["session"] if login else None
            if number is not None and step is not None and step.uid == 0:
                found[number] = Link(pid, step.start, step.uid, step.comm)
        self._sessions = (self._clock(), found)
        return found
