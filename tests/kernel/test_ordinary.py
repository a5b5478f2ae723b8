# SPDX-License-Identifier: Apache-2.0
"""What a container does of itself: told once, then counted, in a ring that entries do not share."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensor.clock import wall_clock
from sensor.enrich.digests import Digests
from sensor.entry.activity import Activities
from sensor.entry.programs import Programs
from sensor.health import Counters
from sensor.probe import BPF_SOURCES, Probe, open_probe, receiver
from sensor.probe.layout import Exec, KernelEvent
from sensor.probe.ordinary import CONNECT, EXEC, OrdinaryLane, decode, mount_of
from tests.kernel.room import WAIT_S, Room

pytestmark = pytest.mark.kernel

CONNECTS = """
import socket
for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
    for _ in range(3):
        with socket.socket(family) as one:
            one.connect_ex((address, 4001))
"""


@pytest.fixture(params=["core", "bcc"])
def watched(request: pytest.FixtureRequest) -> Iterator[tuple[Probe, list[KernelEvent]]]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    events: list[KernelEvent] = []
    probe = open_probe(request.param, receiver(events.append, pytest.fail))
    yield probe, events
    probe.close()


@pytest.fixture
def room(watched: tuple[Probe, list[KernelEvent]]) -> Iterator[Room]:
    room = Room(watched[0])
    yield room
    room.close()


def counted(lane: OrdinaryLane, mnt: int) -> int:
    return sum(count for key, count in lane.counts() if int.from_bytes(key[4:8], "little") == mnt)


def test_what_a_container_runs_again_is_counted_and_told_once(
    watched: tuple[Probe, list[KernelEvent]], room: Room
) -> None:
    probe, events = watched
    room.do("for i in 1 2 3 4 5 6 7; do /bin/echo $i; done; /bin/echo other words")
    told = [one for one in map(decode, probe.ordinary.read()) if one.mnt == room.mnt]
    assert [one.argv for one in told] == [["/bin/echo", "1"], ["/bin/echo", "other", "words"]]
    assert told[0].kind == EXEC
    assert told[0].filename == "/bin/echo"
    assert counted(probe.ordinary, room.mnt) == 6
    tally = probe.ordinary.tallies()[room.mnt]
    assert (tally.all, tally.told, tally.lost) == (8, 2, 0)
    probe.poll(50)
    assert not [one for one in events if isinstance(one, Exec) and one.task.ns.mnt == room.mnt]


def test_a_container_that_is_gone_takes_no_room_in_the_kernel(
    watched: tuple[Probe, list[KernelEvent]], room: Room
) -> None:
    """Its tally and its kinds go, another's stay."""
    lane = watched[0].ordinary
    other = Room(watched[0])
    try:
        for each in (room, other):
            each.do("/bin/echo x")
        lane.forget({room.mnt})
        assert room.mnt not in lane.tallies()
        assert other.mnt in lane.tallies()
        assert {mount_of(key) for key, _ in lane.counts()} & {room.mnt, other.mnt} == {other.mnt}
    finally:
        assert other.shell.stdin is not None
        assert other.shell.stdout is not None
        other.shell.stdin.close()
        other.shell.wait(WAIT_S)
        other.shell.stdout.close()


def test_where_a_container_connects_to_is_told_once_for_each_family(
    watched: tuple[Probe, list[KernelEvent]], room: Room
) -> None:
    probe, _ = watched
    room.do(f"ip link set lo up; {sys.executable} -c '{CONNECTS}'")
    told = [one for one in map(decode, probe.ordinary.read()) if one.mnt == room.mnt and one.kind == CONNECT]
    assert [(one.address, one.port) for one in told] == [("127.0.0.1", 4001), ("::1", 4001)]
    keys = {one.key for one in told}
    assert {count for key, count in probe.ordinary.counts() if key in keys} == {2}


def test_who_came_in_by_a_door_is_no_activity_of_the_container(
    watched: tuple[Probe, list[KernelEvent]], room: Room
) -> None:
    probe, events = watched
    subprocess.run(["nsenter", "-t", str(room.init), "-m", "/bin/echo", "visitor"], check=True)
    deadline = time.monotonic() + WAIT_S
    while not any(isinstance(one, Exec) and one.task.ns.mnt == room.mnt for one in events):
        assert time.monotonic() < deadline
        probe.poll(50)
    assert not [one for one in map(decode, probe.ordinary.read()) if one.mnt == room.mnt]


def test_a_full_ring_loses_ordinary_events_alone_and_says_whose(
    watched: tuple[Probe, list[KernelEvent]], room: Room
) -> None:
    """The ring is not read while the container makes more than it holds; an entry comes through meanwhile."""
    probe, events = watched
    probe.ordinary.tell_all(on=True)
    room.do(f"i=0; while [ $i -lt 1200 ]; do /bin/true {'x' * 900}; i=$((i+1)); done")
    subprocess.run(["nsenter", "-t", str(room.init), "-m", "/bin/echo", "visitor"], check=True)
    tally = probe.ordinary.tallies()[room.mnt]
    assert tally.lost > 0
    assert tally.told + tally.lost == tally.all == 1200
    assert probe.counters()["kernel.lost.ordinary"] >= tally.lost
    assert probe.counters()["kernel.lost.ring"] == 0
    while probe.poll(50):
        pass
    assert any(isinstance(one, Exec) and one.argv == ["/bin/echo", "visitor"] for one in events)


class Told:
    """What the sensor tells of a room, its files read by the thread that reads them in life."""

    def __init__(self, probe: Probe, room: Room) -> None:
        self.lane, self.events, self.counters = probe.ordinary, [], Counters()
        self.digests, numbers = Digests(self.counters.add), itertools.count(1)
        known = SimpleNamespace(id="c" * 64, init_pid=room.init)
        self.activities = Activities(
            lambda mnt: known if mnt == room.mnt else None,  # type: ignore[arg-type,return-value]
            lambda: f"h/b/{next(numbers)}",
            self.events.append,
            lambda argv: (argv, False),
            wall_clock,
            self.counters.add,
            Programs(self.digests),
        )
        self.digests.start()

    def digest_of(self, path: Path) -> str | None:
        """The digest that is told last of it, once one is told that was not before."""
        before, deadline = len(self.events), time.monotonic() + 3 * WAIT_S
        while time.monotonic() < deadline:
            self.activities.take(self.lane)
            self.activities.collect(self.lane)
            told = [one for one in self.events[before:] if one["exe"] == str(path) and one["digest"]]
            if told:
                return str(told[-1]["digest"])
            time.sleep(0.05)
        return None


def test_a_program_is_told_with_its_parent_and_the_digest_of_the_file_that_ran(
    watched: tuple[Probe, list[KernelEvent]], room: Room, tmp_path: Path
) -> None:
    """Also of one that is gone before it is looked at, and of another one that was put in its place."""
    told, program = Told(watched[0], room), tmp_path / "program"
    room.do(f"cp /bin/true {program}; {program}")
    assert told.digest_of(program) == hashlib.sha256(Path("/bin/true").read_bytes()).hexdigest()
    shell = Path(f"/proc/{room.init}/exe").readlink()
    assert {one["parent_exe"] for one in told.events if one["exe"] == str(program)} == {str(shell)}

    # The same inode and the same arguments, written over.
    time.sleep(1)
    room.do(f"cat /bin/echo > {program}; {program} >/dev/null")
    assert told.digest_of(program) == hashlib.sha256(Path("/bin/echo").read_bytes()).hexdigest()
    told.digests.close()


def test_what_ran_and_was_changed_since_has_no_digest(
    watched: tuple[Probe, list[KernelEvent]], room: Room, tmp_path: Path
) -> None:
    told, program = Told(watched[0], room), tmp_path / "program"
    room.do(f"cp /bin/true {program}; {program}; cat /bin/false > {program}")
    deadline = time.monotonic() + 3 * WAIT_S
    while not (told.counters.get("digest.changed") or told.counters.get("digest.unreadable")):
        assert time.monotonic() < deadline
        told.activities.take(told.lane)
        time.sleep(0.05)
    told.activities.collect(told.lane)
    assert {one["digest"] for one in told.events if one["exe"] == str(program)} == {None}
    told.digests.close()
