# SPDX-License-Identifier: Apache-2.0
"""Real sessions that flood: others' entries come through, and what is left out is counted to the last one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, Probe, open_probe, receiver
from sensor.probe.layout import Exec, Exit, Flag, Fork, KernelEvent, Setns
from tests.flooding import build
from tests.kernel.room import Room

pytestmark = pytest.mark.kernel

BURST = 4096
RATE = 256
WAIT_S = 60
Watched = tuple[Probe, list[KernelEvent]]


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("flood"))


@pytest.fixture(scope="module", params=["core", "bcc"])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    events: list[KernelEvent] = []
    probe = open_probe(request.param, receiver(events.append, pytest.fail))
    probe.know_init(Path("/proc/self/ns/mnt").stat().st_ino, 1)
    yield probe, events
    probe.close()


@pytest.fixture
def room(watched: Watched) -> Iterator[Room]:
    watched[1].clear()
    room = Room(watched[0])
    yield room
    room.close()


def read(probe: Probe, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not until():
        assert time.monotonic() < deadline
        probe.poll(50)


def crossing(events: list[KernelEvent], pid: int) -> int:
    return next(event.head.cookie for event in events if isinstance(event, Setns) and event.head.pid == pid)


def ended(events: list[KernelEvent], pid: int) -> bool:
    return any(isinstance(event, Exit) and event.head.pid == pid for event in events)


def enter(room: Room, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["nsenter", "-t", str(room.init), "-m", *command], stdout=subprocess.DEVNULL)


def test_a_session_that_nobody_reads_fills_no_more_than_its_part_of_the_ring(
    watched: Watched, room: Room, flood: Path
) -> None:
    """The agent reads nothing meanwhile; the next one who comes in is told whole, with what he runs."""
    probe, events = watched
    before = probe.counters()
    flooding = enter(room, str(flood), "2", "0", "4000")
    flooding.wait(WAIT_S)
    visitor = enter(room, "/bin/sh", "-c", "/bin/true; exit 7")
    visitor.wait(WAIT_S)
    read(probe, lambda: ended(events, visitor.pid) and ended(events, flooding.pid))
    counters = probe.counters()
    assert counters["kernel.lost.ring"] == before["kernel.lost.ring"]
    theirs = crossing(events, visitor.pid)
    told = [event.argv for event in events if isinstance(event, Exec) and event.head.cookie == theirs]
    assert told == [["/bin/sh", "-c", "/bin/true; exit 7"], ["/bin/true"]]
    cookie = crossing(events, flooding.pid)
    executed = [event for event in events if isinstance(event, Exec) and event.head.cookie == cookie]
    left_out = probe.budget.left_out()[cookie]
    assert left_out > 0
    assert len(executed) + left_out == 4001
    # Others on this machine may have sessions too.
    assert counters["kernel.lost.commands"] - before["kernel.lost.commands"] >= left_out


def test_a_session_has_a_burst_and_then_a_rate(watched: Watched, room: Room, flood: Path) -> None:
    """However fast it is read. Who floods is told apart: his last exit says that not all of it was told."""
    probe, events = watched
    begin = time.monotonic()
    flooding = enter(room, str(flood), "2", "0", "8000")
    read(probe, lambda: flooding.poll() is not None)
    most = BURST + RATE * (time.monotonic() - begin + 1)
    read(probe, lambda: ended(events, flooding.pid))
    cookie = crossing(events, flooding.pid)
    ours = [event for event in events if event.head.cookie == cookie]
    programs = [event.argv for event in ours if isinstance(event, Exec) and event.head.pid != flooding.pid]
    assert all(argv == ["flood", "nothing"] for argv in programs), "the ring went round more than once"
    executed = len(programs) + 1
    assert executed + probe.budget.left_out()[cookie] == 8001
    assert 1000 < executed <= most
    assert sum(isinstance(event, Fork) for event in ours) <= most
    last = next(event for event in ours if isinstance(event, Exit) and event.head.pid == flooding.pid)
    assert Flag.LEFT_OUT in last.head.flags
    assert cookie not in (probe.budget.followed() or ())


def test_a_process_that_was_left_out_is_in_the_session_still(
    watched: Watched, room: Room, flood: Path
) -> None:
    """What it executes once there is budget again is told, under the session's cookie; so is an escape."""
    probe, events = watched
    script = f"{flood} 2 0 8000; sleep 1; /bin/echo again; while read -r x; do :; done"
    shell = subprocess.Popen(
        ["nsenter", "-t", str(room.init), "-m", "/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    read(
        probe,
        lambda: any(isinstance(event, Exec) and event.argv == ["/bin/echo", "again"] for event in events),
    )
    cookie = crossing(events, shell.pid)
    assert cookie in (probe.budget.followed() or ())
    (again,) = (event for event in events if isinstance(event, Exec) and event.argv == ["/bin/echo", "again"])
    assert again.head.cookie == cookie
    assert probe.budget.left_out()[cookie] > 0
    shell.communicate(timeout=WAIT_S)


SETNS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
here = os.open("/proc/self/ns/uts", os.O_RDONLY)
libc.unshare(0x04000000)
there = os.open("/proc/self/ns/uts", os.O_RDONLY)
for _ in range(3000):
    libc.setns(here, 0)
    libc.setns(there, 0)
"""


def test_a_container_that_joins_without_end_leaves_the_ring_to_others(
    watched: Watched, room: Room, tmp_path: Path
) -> None:
    probe, events = watched
    before = probe.counters()
    script = tmp_path / "join.py"
    script.write_text(SETNS)
    room.do(f"{sys.executable} {script}")
    visitor = enter(room, "/bin/true")
    visitor.wait(WAIT_S)
    read(probe, lambda: ended(events, visitor.pid))
    counters = probe.counters()
    assert counters["kernel.lost.ring"] == before["kernel.lost.ring"]
    assert counters["kernel.lost.crossings"] > before["kernel.lost.crossings"]
    assert any(isinstance(event, Exec) and event.head.pid == visitor.pid for event in events)
