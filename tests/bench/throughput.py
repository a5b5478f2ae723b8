# SPDX-License-Identifier: Apache-2.0
"""Events per second from a sensor's POST through ingest and store until detection has judged the last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import requests

from sensor import wire
from vagrant.local.stack import Stack

SESSIONS = 1_000
COMMANDS = 3
BATCH = 500
POLL_S = 0.05
BOOT = "00000000-0000-4000-8000-000000000000"
ROOT_CAPS = "000001ffffffffff"


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. The controller of `stack` runs."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(stack.root / "controller/ca.pem")
        host = _enroll(session, stack)
        events = [event for number in range(SESSIONS) for event in visit(host, number)]
        begin = time.monotonic()
        for first in range(0, len(events), BATCH):
            _post(session, stack, "batches", _batch(host, events[first : first + BATCH]))
        stored = time.monotonic() - begin
        _wait_for_worker(stack)
        judged = time.monotonic() - begin
    yield (
        f"ingest   {len(events) / stored:,.0f} events/s acknowledged, "
        f"{len(events) / judged:,.0f} events/s judged ({len(events)} events, {SESSIONS} visits)"
    )


def _enroll(session: requests.Session, stack: Stack) -> str:
    secret, _ca = wire.decode_token(stack.controller("token", "create"))
    about = {"name": "bench", "machine": None, "kernel": "0", "os": "none", "arch": "x86_64", "sensor": "0"}
    answer = wire.unpack(_post(session, stack, "enroll", {"v": wire.VERSION, "token": secret, **about}))
    session.headers["Authorization"] = f"Bearer {answer['credential']}"
    return str(answer["host"])


def _post(session: requests.Session, stack: Stack, what: str, message: dict[str, Any]) -> bytes:
    headers = {"Content-Type": "application/msgpack"}
    answer = session.post(f"{stack.url}/api/v1/{what}", wire.pack(message), headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.content


def _wait_for_worker(stack: Stack) -> None:
    # A session of its own: the sensor's credential is good for nothing here.
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(stack.root / "controller/ca.pem")
        operator = (stack.root / "controller/operator.token").read_text().strip()
        session.headers["Authorization"] = f"Bearer {operator}"
        while session.get(f"{stack.url}/readyz", timeout=60).json()["behind"]:
            time.sleep(POLL_S)


def _batch(host: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    about = {"id": host, "boot": BOOT, "name": "bench", "kernel": "0", "os": "none", "arch": "x86_64"}
    return {"v": wire.VERSION, "host": about, "sensor": "0", "sent": time.time_ns(), "events": events}


def visit(host: str, number: int) -> Iterator[dict[str, Any]]:
    """One visit: an entry by nsenter, some commands, and the end of it all."""
    sequence = number * (COMMANDS + 2)
    mono = sequence * 1_000_000

    def head(offset: int) -> dict[str, Any]:
        return {
            "id": f"{host}/{BOOT}/{sequence + offset + 1}",
            "time": time.time_ns(),
            "mono": mono + offset,
            "session": f"{host}/{BOOT}/{sequence + 1}",
        }

    shell = {
        "pid": 7,
        "start": 7,
        "comm": "bash",
        "exe": "/bin/bash",
        "argv": ["bash"],
        "uid": 0,
        "side": "host",
    }
    container = {
        "id": f"{number % 50:064x}",
        "name": f"web-{number % 50}",
        "image": "busybox:bench",
        "runtime": "docker",
        "labels": {},
        "pod": None,
        "init_pid": 5,
        "user": "",
        "caps": "00000000a80425fb",
        "privileged": False,
    }
    yield {
        **head(0),
        "kind": "entry",
        "means": "ns-join",
        "namespaces": ["mnt", "pid"],
        "verdict": "ns-only",
        "ns_container": container["id"],
        "cgroup_container": None,
        "container": container,
        "process": _process(number, "/bin/sh", mono),
        "entered_by": shell,
        "ancestry": [shell],
        "login": None,
        "exec_id": None,
        "witnessed": True,
        "missing": {},
    }
    for each in range(COMMANDS):
        process = _process(number, "/usr/bin/id", mono + each)
        yield {**head(1 + each), "kind": "command", "process": process, "parent": number + 100, "missing": {}}
    end = {"code": 0, "signal": None, "duration": 1_000_000, "commands": COMMANDS}
    yield {**head(1 + COMMANDS), "kind": "session_end", **end}


def _process(number: int, exe: str, start: int) -> dict[str, Any]:
    return {
        "pid": number + 100,
        "ppid": 7,
        "start": start,
        "comm": exe.rsplit("/", 1)[1],
        "exe": exe,
        "filename": exe,
        "argv": [exe],
        "argv_cut": False,
        "argv_redacted": False,
        "cwd": "/",
        "uid": 0,
        "gid": 0,
        "user": "root",
        "caps": ROOT_CAPS,
        "tty": None,
    }
