# SPDX-License-Identifier: Apache-2.0
"""Who reaches into a process of a container, on the real kernel: both loaders tell the same of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.files.memory import MemoryWrites
from sensor.probe import BPF_SOURCES, open_probe, receiver
from sensor.probe.layout import How, KernelEvent, Reached
from tests.runtimes.ways.way import PROGRAMS

pytestmark = pytest.mark.kernel

INJECT = [sys.executable, str(PROGRAMS / "inject.py")]
WRITES_TWICE_AND_STAYS = """
import sys, time
stack = [line for line in open(f"/proc/{sys.argv[1]}/maps") if "[stack]" in line][0]
at = int(stack.split("-")[1].split()[0], 16) - 8
memory = open(f"/proc/{sys.argv[1]}/mem", "r+b", buffering=0)
for _ in range(2):
    memory.seek(at)
    kept = memory.read(1)
    memory.seek(at)
    memory.write(kept)
time.sleep(600)
"""
NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def room() -> Iterator[int]:
    """A process in a mount namespace of its own, as a container's init is."""
    held = subprocess.Popen(["unshare", "--mount", "sleep", "3600"])
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
def test_who_takes_an_open_file_is_told_once_and_the_process_is_not_followed(loader: str, room: int) -> None:
    (event,) = told(loader, room, [*INJECT, "take", str(room)])
    assert (event.how, event.target, event.head.pid) == (How.TAKE, 0, room)
    assert event.mnt == event.task.ns.mnt == Path(f"/proc/{room}/ns/mnt").stat().st_ino
    assert event.by.pid not in {0, room}


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
        [*NOBODY, *INJECT, "take", str(room)],
        [*INJECT, "mem-read", str(room)],
        [*inside, *INJECT, "take", str(room)],
        ["cat", f"/proc/{room}/maps", f"/proc/{room}/environ", f"/proc/{room}/stat"],
        ["ps", "-p", str(room), "-o", "pid,args,wchan"],
    )


@pytest.fixture
def memory() -> Iterator[MemoryWrites]:
    """What serves where no program can: as this kernel may have fentry, it is told that there is none."""
    writes = MemoryWrites(lambda _what: None)
    hooks = {"mem_write": "none (fentry: EPERM)"}
    writes.serve(hooks)
    assert hooks["mem_write"] == "fanotify /proc (fentry: EPERM)"
    yield writes
    writes.close()


def test_who_writes_by_the_file_in_proc_is_told_once_and_who_reads_it_is_not(
    memory: MemoryWrites, room: int
) -> None:
    lasting = [sys.executable, "-c", WRITES_TWICE_AND_STAYS, str(room)]
    subprocess.run([*INJECT, "mem-read", str(room)], check=True)
    writer = subprocess.Popen(lasting)
    try:
        seen: list[Reached] = []
        deadline = time.monotonic() + 60
        while not any(each.by.pid == writer.pid for each in seen):
            assert time.monotonic() < deadline, seen
            seen += memory.take()
            time.sleep(0.02)
        (event,) = (each for each in seen if each.by.pid == writer.pid)
        assert (event.how, event.target, event.argv) == (How.WRITE, room, lasting)
        assert event.by.mnt == Path("/proc/self/ns/mnt").stat().st_ino
        assert event.ancestry[-1].pid == 1
        assert {each.target for each in seen} == {room}
        assert all(each.by.pid == writer.pid for each in seen + memory.take())
    finally:
        writer.kill()
        writer.wait()


def test_where_a_program_serves_nothing_else_is_asked() -> None:
    writes = MemoryWrites(pytest.fail)
    hooks = {"mem_write": "fentry mem_write"}
    writes.serve(hooks)
    writes.close()
    assert hooks == {"mem_write": "fentry mem_write"}
