# SPDX-License-Identifier: Apache-2.0
"""Programs and ring that outlive their sensor: what happened meanwhile is read by the next, once and in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, open_probe, pins, receiver
from sensor.probe.layout import Exec, KernelEvent
from tests.kernel.test_loaders import room

pytestmark = pytest.mark.kernel

__all__ = ["room"]

BPFFS = Path("/sys/fs/bpf")
SENSOR = """
import os, signal, sys
from pathlib import Path
from sensor.probe import open_probe
probe = open_probe("core", lambda raw: None, pins=Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    probe.poll(50)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    place = BPFFS / f"nsentry-test-{os.getpid()}"
    yield place
    pins.unpin(place)


def killed(folder: Path, polls: int = 0) -> None:
    """A sensor that pins its programs and is killed."""
    done = subprocess.run([sys.executable, "-c", SENSOR, str(folder), str(polls)], check=False)
    assert done.returncode == -9


def visit(room: int, word: str) -> None:
    subprocess.run(["nsenter", "-t", str(room), "-m", "/bin/true", word], check=True)


def words(folder: Path, room: int) -> list[str]:
    """What the next sensor reads of visits to the room."""
    events: list[KernelEvent] = []
    probe = open_probe("core", receiver(events.append, pytest.fail), pins=folder)
    try:
        visit(room, "after")
        for _ in range(5):
            probe.poll(50)
    finally:
        probe.close()
    mnt = Path(f"/proc/{room}/ns/mnt").stat().st_ino
    return [
        event.argv[1]
        for event in events
        if isinstance(event, Exec) and event.task.ns.mnt == mnt and event.argv
    ]


def test_what_happens_while_no_sensor_runs_is_read_by_the_next_once_and_in_order(
    folder: Path, room: int
) -> None:
    killed(folder)
    for number in range(5):
        visit(room, f"gap{number}")
    assert words(folder, room) == [*(f"gap{number}" for number in range(5)), "after"]
    assert words(folder, room) == ["after"]


def test_the_next_sensor_leaves_no_programs_of_the_one_before(folder: Path, room: int) -> None:
    killed(folder)
    killed(folder)
    visit(room, "gap")
    generations = {path.name.split("-")[1] for path in folder.glob("*/link-*")}
    assert len(generations) == 1
    assert words(folder, room) == ["gap", "after"]


def test_unpin_leaves_nothing(folder: Path, room: int) -> None:
    killed(folder)
    assert pins.unpin(folder) > 0
    assert not folder.exists()
    visit(room, "unseen")
    assert words(folder, room) == ["after"]


OLDER = "from sensor.probe import pins\npins.layout = lambda: 'older'\n"


def test_what_a_sensor_of_another_layout_left_unread_is_counted(folder: Path, room: int) -> None:
    done = subprocess.run([sys.executable, "-c", OLDER + SENSOR, str(folder), "0"], check=False)
    assert done.returncode == -9
    for number in range(5):
        visit(room, f"gap{number}")
    probe = open_probe("core", lambda _raw: None, pins=folder)
    try:
        # Of each visit at least the join, the program and its end.
        assert probe.left_behind >= 15
        assert [path.name for path in folder.iterdir()] == [pins.layout()]
    finally:
        probe.close()
