# SPDX-License-Identifier: Apache-2.0
"""Events of the wire, well made, with what a test is about given by keyword."""

from __future__ import annotations

from typing import Any

from sensor import wire
from tests.sensor.examples import EVENTS

HOST = "h0123456789abcdef"
BOOT = "6f1ed002-ab5f-4a3c-9d0a-0d5c4d3a1b2c"
BEGIN = 1_795_000_000_000_000_000
SECOND = 1_000_000_000
CONTAINER = "c" * 64
CAPS = "00000000a80425fb"


def event_id(sequence: int, host: str = HOST) -> str:
    return f"{host}/{BOOT}/{sequence}"


def session_id(number: int = 1, host: str = HOST) -> str:
    return f"{host}/{BOOT}/s{number}"


def host(id_: str = HOST, **more: Any) -> dict[str, Any]:
    base = {"id": id_, "boot": BOOT, "name": "n1", "kernel": "6.1.0", "os": "Debian 12", "arch": "x86_64"}
    return {**base, **more}


def container(**more: Any) -> dict[str, Any]:
    base = {
        "id": CONTAINER,
        "name": "web",
        "image": "busybox:demo",
        "runtime": "docker",
        "labels": {"app": "web"},
        "pod": None,
        "init_pid": 900,
        "user": "app",
        "caps": CAPS,
        "privileged": False,
    }
    return {**base, **more}


def process(pid: int = 1000, *argv: str, **more: Any) -> dict[str, Any]:
    base = {
        "pid": pid,
        "ppid": 999,
        "start": pid * 1000,
        "comm": "sh",
        "exe": "/bin/busybox",
        "filename": "/bin/sh",
        "argv": list(argv or ("sh",)),
        "argv_cut": False,
        "argv_redacted": False,
        "cwd": "/",
        "uid": 0,
        "gid": 0,
        "user": "root",
        "caps": CAPS,
        "tty": None,
    }
    return {**base, **more}


def ancestor(pid: int = 999, **more: Any) -> dict[str, Any]:
    base = {
        "pid": pid,
        "start": pid * 1000,
        "comm": "nsenter",
        "exe": "/usr/bin/nsenter",
        "argv": ["nsenter", "-a", "-t", "900"],
        "uid": 0,
        "side": "host",
    }
    return {**base, **more}


def _event(kind: str, sequence: int, host_id: str, **more: Any) -> dict[str, Any]:
    at = sequence * SECOND
    return {"id": event_id(sequence, host_id), "time": BEGIN + at, "mono": at, "kind": kind, **more}


def entry(sequence: int = 1, host_id: str = HOST, session: int = 1, **more: Any) -> dict[str, Any]:
    base = {
        "session": session_id(session, host_id),
        "means": "ns-join",
        "namespaces": ["mnt", "pid"],
        "verdict": "ns-only",
        "ns_container": CONTAINER,
        "cgroup_container": None,
        "container": container(),
        "process": process(),
        "entered_by": ancestor(),
        "ancestry": [ancestor(), ancestor(1, comm="systemd", exe="/usr/lib/systemd/systemd", argv=None)],
        "login": {"uid": 1000, "user": "ada", "session": 3},
        "exec_id": None,
        "witnessed": True,
        "missing": {},
    }
    return _event("entry", sequence, host_id, **{**base, **more})


def attempt(sequence: int = 1, host_id: str = HOST, session: int = 1, **more: Any) -> dict[str, Any]:
    made = entry(sequence, host_id, session, **more)
    for name in ("verdict", "ns_container", "cgroup_container", "process", "witnessed"):
        del made[name]
    return {**made, "kind": "attempt"}


def command(
    sequence: int, *argv: str, host_id: str = HOST, session: int = 1, pid: int = 1001, **more: Any
) -> dict[str, Any]:
    base = {
        "session": session_id(session, host_id),
        "process": process(pid, *argv),
        "parent": 1000,
        "missing": {},
    }
    return _event("command", sequence, host_id, **{**base, **more})


def ended(
    sequence: int, pid: int = 1001, code: int | None = 0, signal: int | None = None, session: int = 1
) -> dict[str, Any]:
    fields = {"session": session_id(session), "pid": pid, "start": pid * 1000, "code": code, "signal": signal}
    return _event("exit", sequence, HOST, **fields)


def session_end(sequence: int, session: int = 1, code: int | None = 0, **more: Any) -> dict[str, Any]:
    base = {
        "session": session_id(session),
        "code": code,
        "signal": None,
        "duration": 5 * SECOND,
        "commands": 1,
    }
    return _event("session_end", sequence, HOST, **{**base, **more})


def start(sequence: int, **more: Any) -> dict[str, Any]:
    base = {"container": container(), "process": process(900, "httpd"), "missing": {}}
    return _event("start", sequence, HOST, **{**base, **more})


def stop(sequence: int, **more: Any) -> dict[str, Any]:
    return _event("stop", sequence, HOST, **{"container": container(), "code": 0, "signal": None, **more})


def update(sequence: int, target: str, missing: dict[str, str] | None = None, **set_: Any) -> dict[str, Any]:
    """`set_` has double underscores for dots: container__name="web"."""
    paths = {path.replace("__", "."): value for path, value in set_.items()}
    return _event("update", sequence, HOST, target=target, set=paths, missing=missing or {})


def loss(sequence: int, cause: str = "ring.entry.full", count: int = 3, **more: Any) -> dict[str, Any]:
    return _event("loss", sequence, HOST, cause=cause, count=count, **more)


def escape(sequence: int, **more: Any) -> dict[str, Any]:
    """A container's process that left it for the host."""
    known = {
        name: value for name, value in EVENTS["escape"].items() if name not in {"id", "time", "mono", "kind"}
    }
    return _event("escape", sequence, HOST, **{**known, "session": event_id(sequence), **more})


def activity(sequence: int, **more: Any) -> dict[str, Any]:
    """A container's own exec."""
    base = {
        "what": "exec",
        "container_id": container()["id"],
        "key": "0123456789abcdef",
        "first": BEGIN,
        "count": 2,
        "uid": 0,
        "comm": "ls",
        "exe": "/bin/busybox",
        "filename": "/bin/ls",
        "argv": ["ls"],
        "argv_cut": False,
        "argv_redacted": False,
        "address": None,
        "port": None,
        "protocol": None,
    }
    return _event("activity", sequence, HOST, **{**base, **more})


def configuration(sequence: int, because: str = "start", **settings: Any) -> dict[str, Any]:
    """How the container is configured: as the example, with these settings."""
    return _event(
        "configuration",
        sequence,
        HOST,
        container=container(),
        settings={**EVENTS["configuration"]["settings"], **settings},
        because=because,
        missing={},
    )


def record(sequence: int, action: str = "exec_start", **more: Any) -> dict[str, Any]:
    """What docker said of an exec of the container."""
    base = {
        "source": "docker",
        "place": "/run/docker.sock",
        "key": f"{sequence:032x}",
        "action": action,
        "owner": 0,
        "container_id": CONTAINER,
        "exec_id": "e" * 64,
        "pid": None,
        "command": "sh",
        "code": None,
        "read": BEGIN + sequence * SECOND,
        "detail": {},
    }
    return _event("record", sequence, HOST, **{**base, **more})


def agent(sequence: int, host_id: str = HOST, **more: Any) -> dict[str, Any]:
    base = {"action": "started", "version": "0.1.0", "loader": "core", "hooks": {}, "reason": None}
    return _event("agent", sequence, host_id, **{**base, **more})


def contact(sequence: int, **more: Any) -> dict[str, Any]:
    """A process that reached a runtime's socket."""
    known = {
        name: value for name, value in EVENTS["contact"].items() if name not in {"id", "time", "mono", "kind"}
    }
    return _event("contact", sequence, HOST, **{**known, **more})


def connection(sequence: int, **more: Any) -> dict[str, Any]:
    """What a visit reached by the network."""
    known = {
        name: value
        for name, value in EVENTS["connection"].items()
        if name not in {"id", "time", "mono", "kind"}
    }
    return _event("connection", sequence, HOST, **{**known, **more})


def file(sequence: int, **more: Any) -> dict[str, Any]:
    """A configuration file of a runtime that was changed."""
    known = {
        name: value for name, value in EVENTS["file"].items() if name not in {"id", "time", "mono", "kind"}
    }
    return _event("file", sequence, HOST, **{**known, **more})


def one_of_each() -> list[dict[str, Any]]:
    """An event of every kind that the wire knows, of one host."""
    made = [
        start(1),
        entry(2),
        command(3, "id"),
        ended(4),
        update(5, event_id(2), container__name="web2"),
        session_end(6),
        attempt(7, session=2),
        stop(8),
        loss(9),
        agent(10),
        activity(11),
        escape(12),
        configuration(13),
        record(14),
        contact(15),
        connection(16),
        file(17),
    ]
    assert {each["kind"] for each in made} == set(wire.EVENT_TYPES)
    return made


def batch(*events: dict[str, Any], host_id: str = HOST, **more: Any) -> dict[str, Any]:
    base = {
        "v": wire.VERSION,
        "host": host(host_id),
        "sensor": "0.1.0",
        "sent": BEGIN,
        "events": list(events),
    }
    return {**base, **more}


def heartbeat(host_id: str = HOST, **more: Any) -> dict[str, Any]:
    base = {
        "v": wire.VERSION,
        "host": host(host_id),
        "sensor": "0.1.0",
        "sent": BEGIN,
        "started": BEGIN,
        "loader": "core",
        "loader_reason": "auto: it loads here",
        "pins": "/sys/fs/bpf/nsentry",
        "hooks": {"setns": "tracepoint syscalls:sys_exit_setns"},
        "counters": {"ring.entry.full": 0},
        "gauges": {"spool.age_s": 0.5},
        "degraded": [],
    }
    return {**base, **more}


def enrolment(token: str, **more: Any) -> dict[str, Any]:
    base = {
        "v": wire.VERSION,
        "token": token,
        "name": "n1",
        "machine": "m1",
        "kernel": "6.1.0",
        "os": "Debian 12",
        "arch": "x86_64",
        "sensor": "0.1.0",
    }
    return {**base, **more}
