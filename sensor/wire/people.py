# SPDX-License-Identifier: Apache-2.0
"""Who was it: the processes outside that a visit may belong to, and the principal that is made of them."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from sensor.wire.parts import Login

PrincipalKind = Literal["person", "service", "cron", "kubernetes", "container", "unknown"]
Opener = Literal["ssh", "console", "user-manager", "cron", "service", "container", "unknown"]
"""What opened the session that a process runs in; "container": it is the process of a container."""
Sure = Literal["exact", "strong", "weak", "none"]


class Caller(TypedDict):
    """A process outside, and whom it belongs to, by what the kernel and the processes above it say."""

    pid: int
    start: int
    comm: str
    exe: str | None
    argv: list[str] | None
    uid: int
    user: str | None
    """The name of `uid`."""
    login: Login | None
    tty: str | None
    opener: Opener
    source: str | None
    """Address and port of the peer of the socket that its sshd holds: "10.0.0.5:51234"."""
    via: list[str]
    """What stands between the session's beginning and the process: sudo, su, tmux; the nearest first."""
    unit: str | None
    """The systemd service, by its cgroup: "backup.service"."""
    container_id: str | None
    container_name: str | None
    login_ended: bool | None
    """No process that opened its audit session is there any more; None where there is no session to ask for."""


class Client(TypedDict):
    """A process with a connection to the daemon that was asked to enter, at about the time of the entry."""

    caller: Caller
    socket: str
    """The path that it connected to; "" where that is not known."""
    connected: list[int]
    """When it connected, like `time`, oldest first; empty where only that it was connected is known."""
    closed: bool
    """It was gone, or its connection was, when the entry was seen."""
    witness: Literal["connect", "held"]
    """"connect": the kernel told of each connection; "held": the daemon's sockets were looked at."""
    asked: NotRequired[bool]
    """The kernel saw it ask for this very exec, by its id. It is the only client then."""


class Principal(TypedDict):
    """Who it was by the best evidence there is. Of kind "unknown" `reason` says why."""

    kind: PrincipalKind
    name: str | None
    uid: int | None
    """The login uid, which no sudo changes."""
    source: str | None
    tty: str | None
    session: int | None
    """The kernel's audit session."""
    via: list[str]
    impersonated: str | None
    """Whom a Kubernetes user acted as."""
    evidence: list[str]
    confidence: Sure
    reason: str
    candidates: list[str]
    """Who it may have been, where more than one remain."""
