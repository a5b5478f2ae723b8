# SPDX-License-Identifier: Apache-2.0
"""Builds the events of a visit as a sensor sends them: whole wire events, with ids and times in order."""

from __future__ import annotations

import copy
import hashlib
import itertools
import time
from typing import Any

SECOND = 1_000_000_000
DEFAULT_CAPS = "00000000a80425fb"
ALL_CAPS = "000001ffffffffff"
SHELL = ("/bin/sh", ["sh"])


class Clock:
    """One host's ids and times. Pids and sequence numbers only grow."""

    def __init__(self, host: str, boot: str, seq: int = 1) -> None:
        self.host, self.boot = host, boot
        self._seq = itertools.count(seq)
        self._pid = itertools.count(20_000 + seq)
        self.mono = 5_000 * SECOND + seq * 100 * SECOND

    def next_id(self) -> str:
        return f"{self.host}/{self.boot}/{next(self._seq)}"

    def next_pid(self) -> int:
        return next(self._pid)


def container(name: str | None, image: str | None, **more: Any) -> dict[str, Any]:
    """A container that docker runs, with an id made from its name."""
    full = hashlib.sha256((name or image or "").encode()).hexdigest()
    made = {"id": full, "name": name, "image": image, "runtime": "docker", "labels": {}, "pod": None}
    return {**made, "init_pid": 1200, "user": "", "caps": DEFAULT_CAPS, "privileged": False, **more}


def ancestor(pid: int, comm: str, exe: str | None, argv: list[str] | None, uid: int = 0, side: str = "host"):
    """One step above the entry."""
    made = {"pid": pid, "start": pid * 1000, "comm": comm, "exe": exe}
    return {**made, "argv": argv, "uid": uid, "side": side}


SYSTEMD = ancestor(1, "systemd", "/usr/lib/systemd/systemd", ["/sbin/init"])
SHIM = ancestor(1180, "containerd-shim", "/usr/bin/containerd-shim-runc-v2", None)
RUNC = ancestor(1350, "runc:[2:INIT]", "/usr/sbin/runc", ["runc", "init"])
SSH = [
    ancestor(4101, "bash", "/usr/bin/bash", ["-bash"]),
    ancestor(4099, "sudo", "/usr/bin/sudo", ["sudo", "-i"]),
    ancestor(4010, "bash", "/usr/bin/bash", ["-bash"], uid=1000),
    ancestor(4003, "sshd", "/usr/sbin/sshd", ["sshd: jane@pts/0"], uid=1000),
    ancestor(3990, "sshd", "/usr/sbin/sshd", ["sshd: jane [priv]"]),
    ancestor(800, "sshd", "/usr/sbin/sshd", ["sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"]),
    SYSTEMD,
]


class Visit:
    """A session that grows: the entry first, then what was run, with pauses; `events` is what to send."""

    def __init__(self, clock: Clock, box: dict[str, Any], began: int) -> None:
        self.clock, self.container = clock, box
        self.events: list[dict[str, Any]] = []
        self._began, self._mono0 = began, clock.mono
        self.session = clock.next_id()
        self.commands = 0
        self.first: dict[str, Any] | None = None

    def _event(self, kind: str, **more: Any) -> dict[str, Any]:
        time_ = self._began + self.clock.mono - self._mono0
        event_id = self.session if not self.events else self.clock.next_id()
        event = {"kind": kind, "id": event_id, "time": time_, "mono": self.clock.mono}
        self.events.append({**event, "session": self.session, **more})
        return self.events[-1]

    def wait(self, seconds: float) -> Visit:
        self.clock.mono += int(seconds * SECOND)
        return self

    def process(self, ppid: int, exe: str, argv: list[str] | None, **more: Any) -> dict[str, Any]:
        pid = self.clock.next_pid()
        known = {"pid": pid, "ppid": ppid, "start": self.clock.mono, "comm": exe.rsplit("/", 1)[-1][:15]}
        shown = {"exe": "/bin/busybox", "filename": exe, "argv": argv}
        shown = {**shown, "argv_cut": False, "argv_redacted": False}
        rest = {"cwd": "/", "uid": 0, "gid": 0, "user": "root", "caps": DEFAULT_CAPS, "tty": None}
        return {**known, **shown, **rest, **more}

    def reach(
        self, address: str, port: int, comm: str, what: str = "connect", protocol: str = "tcp"
    ) -> Visit:
        """What its latest program did on the network."""
        process = ancestor(self.clock.next_pid(), comm, None, None, side="container")
        far = {"what": what, "protocol": protocol, "address": address, "port": port}
        self._event("connection", container=copy.deepcopy(self.container), process=process, missing={}, **far)
        return self

    def exec(self, exe: str, argv: list[str], **more: Any) -> Visit:
        """Entered by `docker exec`: by the runtime, from its shim."""
        return self._enter(
            "docker-exec",
            ["cgroup", "ipc", "mnt", "net", "pid", "uts"],
            self.process(RUNC["pid"], exe, argv, **more),
            [RUNC, SHIM, SYSTEMD],
            None,
        )

    def nsenter(self, flags: list[str], exe: str, argv: list[str], **more: Any) -> Visit:
        """Entered by nsenter, from a login over ssh."""
        line = ["nsenter", "-t", "1200", *flags, *argv]
        via = ancestor(self.clock.next_pid(), "nsenter", "/usr/bin/nsenter", line)
        login = {"uid": 1000, "user": "jane", "session": 42}
        process = self.process(via["pid"], exe, argv, **{"caps": ALL_CAPS, "tty": "pts/0", **more})
        return self._enter("ns-join", ["ipc", "mnt", "net", "pid", "uts"], process, [via, *SSH], login)

    def _enter(self, means, namespaces, process, ancestry, login) -> Visit:
        joined = means == "ns-join"
        self._event(
            "entry",
            means=means,
            namespaces=namespaces,
            verdict="ns-only" if joined else "both",
            ns_container=self.container["id"],
            cgroup_container=None if joined else self.container["id"],
            container=copy.deepcopy(self.container),
            process=process,
            entered_by=ancestry[0],
            ancestry=ancestry,
            login=login,
            exec_id=None if joined else hashlib.sha256(self.session.encode()).hexdigest(),
            witnessed=True,
            missing={},
        )
        self.first = process
        return self

    def attempt(self) -> Visit:
        """A join that ended without executing anything."""
        self._event(
            "attempt",
            means="docker-exec",
            namespaces=["ipc", "mnt", "net", "pid", "uts"],
            container=copy.deepcopy(self.container),
            entered_by=RUNC,
            ancestry=[SHIM, SYSTEMD],
            login=None,
            exec_id=None,
            missing={},
        )
        return self

    def run(self, exe: str, argv: list[str], code: int | None = 0, lasts: float = 0.02, **more: Any) -> Visit:
        """The shell runs a program to its end (negative: by a signal); None: it runs on."""
        assert self.first is not None
        process = self.process(self.first["pid"], exe, argv, **more)
        self._event("command", process=process, parent=self.first["pid"], missing={})
        self.commands += 1
        if code is not None:
            self.wait(lasts)
            signal = -code if code < 0 else None
            ended = {"pid": process["pid"], "start": process["start"], "code": None if signal else code}
            self._event("exit", signal=signal, **ended)
        return self

    def leave(self, code: int = 0) -> Visit:
        """The first process ends, and with it the visit."""
        assert self.first is not None
        self._event("exit", pid=self.first["pid"], start=self.first["start"], code=code, signal=None)
        lasted = self.clock.mono - self._mono0
        self._event("session_end", code=code, signal=None, duration=lasted, commands=self.commands)
        return self


def ago(**units: float) -> int:
    """A moment in the past, ns since the epoch."""
    seconds = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
    return time.time_ns() - int(sum(count * seconds[name] for name, count in units.items()) * SECOND)
