# SPDX-License-Identifier: Apache-2.0
"""A recorded visit, put through again, gives the events that it gave when it happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sensor.clock import wall_clock
from sensor.enrich import procfs
from sensor.fault import Fault
from sensor.probe import BPF_SOURCES
from sensor.probe.recording import Head, Recorder
from sensor.replay import replay
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes


def _timeless(event: dict) -> dict:
    """What must be the same; ids are given anew, and of processes outside only the kernel's facts are recorded."""
    kept = {
        "kind",
        "means",
        "namespaces",
        "verdict",
        "mono",
        "code",
        "signal",
        "commands",
        "duration",
        "parent",
    }
    process = event.get("process") or {}
    return {
        **{key: value for key, value in event.items() if key in kept},
        "container": (event.get("container") or {}).get("id"),
        "process": {key: value for key, value in process.items() if key != "user"},
        "ancestry": [step["comm"] for step in event.get("ancestry", [])],
    }


def _of(containers: set[str], events: Iterable[Any]) -> list[Any]:
    """What is about these, of all that happens on the machine: by container, else by the session of a visit there."""
    events = list(events)
    about = [event for event in events if (event.get("container") or {}).get("id") in containers]
    sessions = {event["session"] for event in about if event.get("session")}
    return [event for event in events if event in about or event.get("session") in sessions]


def test_a_replay_gives_the_events_of_the_visit(dockerd: Dockerd, tmp_path: Path) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    dockerd.image("busybox:demo")
    older = dockerd.run("busybox:demo", "sleep", "3600")
    host = procfs.namespaces(os.getpid()) or {}
    recorder = Recorder(tmp_path / "visit.events", Head(host, wall_clock(0)))
    watching = Watching("core", [str(dockerd.socket)], recorder)
    try:
        newer = dockerd.run("busybox:demo", "sleep", "3600")
        mine = {older, newer}
        watching.until(lambda: bool(watching.of("start", newer)))
        for container in (older, newer):
            dockerd.exec(container, "sh", "-c", "true; exec echo --password hunter2")
        subprocess.run(["nsenter", "-t", str(dockerd.init_pid(older)), "-m", "/bin/true"], check=True)
        watching.until(lambda: sum(each["kind"] == "session_end" for each in _of(mine, watching.events)) == 3)
        dockerd.docker("rm", "-f", newer)
        watching.until(lambda: bool(watching.of("stop", newer)))
    finally:
        watching.close()
        recorder.close()
        dockerd.docker("rm", "-f", older)
    # What runtimes told beside the kernel's events is in no recording, nor is whose socket a daemon's is.
    beside = {"update", "configuration", "contact"}
    lived = [event for event in watching.events if event["kind"] not in beside]
    told = [event for event in replay(tmp_path / "visit.events") if event["kind"] not in beside]
    assert [_timeless(each) for each in _of(mine, told)] == [_timeless(each) for each in _of(mine, lived)]
    printed = subprocess.run(
        [sys.executable, "-m", "sensor", "replay", str(tmp_path / "visit.events")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert len(printed.splitlines()) == len(told)
    assert "hunter2" not in printed
    assert {json.loads(line)["kind"] for line in printed.splitlines()} >= {"start", "entry", "stop"}


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x94\x00\x01\x01\x01\x92\x01\xc4\x02xx", b"\x94\x00\x09\x01\x01"]
)
def test_what_is_no_recording_is_refused_with_a_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Fault, match="cannot be replayed"):
        list(replay(tmp_path / "file"))
