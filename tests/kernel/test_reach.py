# SPDX-License-Identifier: Apache-2.0
"""Who reaches into a process of a container, on the real kernel: both loaders tell the same of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, open_probe, receiver
from sensor.probe.layout import How, KernelEvent, Reached
from tests.runtimes.ways.way import PROGRAMS

pytestmark = pytest.mark.kernel

INJECT = [sys.executable, str(PROGRAMS / "inject.py")]
NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def room() -> Iterator[int]:
    """A process in a mount namespace of its own, as a container's init is."""
    held = subprocess.Popen(["unshare", "--mount", "sleep", "60"])
    here = Path("/proc/self/ns/mnt").readlink()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{held.pid}/comm").read_text() != "sleep\n" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert Path(f"/proc/{held.pid}/ns/mnt").readlink() != here
    yield held.pid
    held.kill()
    held.wait()


def told(loader: str, room: int, *commands: list[str]) -> list[Reached]:
    """What is told of `commands`, `room` being a container's first process."""
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    events: list[KernelEvent] = []
    probe = open_probe(loader, receiver(events.append, pytest.fail))
    try:
        probe.know_init(Path("/proc/self/ns/mnt").stat().st_ino, 1)
        probe.know_init(Path(f"/proc/{room}/ns/mnt").stat().st_ino, room)
        pids = {room}
        for command in commands:
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            process.wait()
            pids.add(process.pid)
        for _ in range(5):
            probe.poll(50)
    finally:
        probe.close()
    return [event for event in events if isinstance(event, Reached) and event.head.pid in pids]


@pytest.mark.parametrize("loader", ["core", "bcc"])
@pytest.mark.parametrize("how", ["attach", "seize"])
def test_who_attaches_from_outside_is_told_once(loader: str, how: str, room: int) -> None:
    (event,) = told(loader, room, [*INJECT, how, str(room)], [*INJECT, how, str(room)])
    assert (event.how, event.head.pid) == (How.TRACE, room)
    assert event.mnt == event.task.ns.mnt == Path(f"/proc/{room}/ns/mnt").stat().st_ino
    assert (event.by.comm, event.by.mnt) == (
        Path(sys.executable).name[:15],
        Path("/proc/self/ns/mnt").stat().st_ino,
    )
    assert event.ancestry[-1].pid == 1


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_who_writes_is_told_with_the_number_that_he_named(loader: str, room: int) -> None:
    (event,) = told(loader, room, [*INJECT, "write", str(room)])
    assert (event.how, event.target, event.head.pid) == (How.WRITE, room, event.by.pid)


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_who_only_reads_or_is_refused_or_is_inside_is_not_told(loader: str, room: int) -> None:
    inside = ["nsenter", "-t", str(room), "-m"]
    assert not told(
        loader,
        room,
        [*INJECT, "read", str(room)],
        [*NOBODY, *INJECT, "attach", str(room)],
        [*NOBODY, *INJECT, "seize", str(room)],
        [*INJECT, "attach", "999999999"],
        [*inside, *INJECT, "attach", str(room)],
        ["cat", f"/proc/{room}/maps", f"/proc/{room}/environ", f"/proc/{room}/stat"],
        ["ps", "-p", str(room), "-o", "pid,args,wchan"],
    )
