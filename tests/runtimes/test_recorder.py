# SPDX-License-Identifier: Apache-2.0
"""The flight recorder, whole: a sensor killed with a session open, and what real containers saw meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sensor.probe.core import object_path
from tests.runtimes.killable import Killable
from vagrant.local.dockerd import Dockerd

Start = Callable[..., str]


@pytest.fixture
def sensor(tmp_path: Path, dockerd: Dockerd) -> Iterator[Killable]:
    one = Killable(tmp_path, str(dockerd.socket))
    yield one
    one.close()


@pytest.fixture
def started(sensor: Killable, container: Start) -> Start:
    """`container`, looked at."""

    def start() -> str:
        sensor.containers.append(container())
        return sensor.containers[-1]

    return start


def name_of(dockerd: Dockerd, container: str) -> str:
    return dockerd.docker("inspect", "--format", "{{.Name}}", container).removeprefix("/")


def visit(pid: int, word: str) -> None:
    subprocess.run(["nsenter", "-t", str(pid), "-m", "-p", "/bin/true", word], check=True)


def marked(sensor: Killable, prefix: str) -> list[str]:
    """The last words of command lines that begin so, in the order in which they were told."""
    return [argv[-1] for argv in sensor.argvs() if argv and argv[-1].startswith(prefix)]


class Shell:
    """`docker exec -i` of a shell that goes on while the sensor is killed."""

    def __init__(self, dockerd: Dockerd, container: str) -> None:
        self._process = subprocess.Popen(
            dockerd.command("exec", "-i", container, "sh"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def say(self, line: str) -> None:
        """Have a line executed, to its end."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n/bin/echo done\n".encode())
        assert self._process.stdout.read(5) == b"done\n"

    def leave(self, code: int) -> None:
        """End the shell."""
        self._process.communicate(f"exit {code}\n".encode())

    def close(self) -> None:
        """Let go of it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def shell_in(dockerd: Dockerd) -> Iterator[Callable[[str], Shell]]:
    shells: list[Shell] = []

    def enter(container: str) -> Shell:
        shells.append(Shell(dockerd, container))
        return shells[-1]

    yield enter
    for shell in shells:
        shell.close()


def test_a_session_open_at_the_kill_goes_on_with_what_was_done_in_it_meanwhile(
    sensor: Killable, started: Start, shell_in: Callable[[str], Shell]
) -> None:
    web = started()
    sensor.start()
    shell = shell_in(web)
    shell.say("sh -c : said-1")
    sensor.until(lambda: marked(sensor, "said") == ["said-1"])
    sensor.kill()
    shell.say("sh -c 'exit 7' said-2")
    sensor.start()
    shell.say("sh -c : said-3")
    shell.leave(3)
    sensor.until(lambda: bool(sensor.of("session_end")))
    assert [each["process"]["argv"] for each in sensor.of("entry")] == [["sh"]]
    (entry,) = sensor.of("entry")
    assert entry["witnessed"]
    assert marked(sensor, "said") == ["said-1", "said-2", "said-3"]
    commands = sensor.of("command")
    assert {each["session"] for each in commands} == {entry["session"]}
    exits = {(each["pid"], each["start"]): each["code"] for each in sensor.of("exit")}
    codes = [exits[each["process"]["pid"], each["process"]["start"]] for each in commands]
    assert codes == [0, 0, 7, 0, 0, 0]  # each followed by its echo
    (end,) = sensor.of("session_end")
    assert (end["session"], end["code"], end["commands"]) == (entry["session"], 3, 7)


def test_what_containers_saw_while_no_sensor_ran_is_told_each_once_in_order_and_by_name(
    sensor: Killable, dockerd: Dockerd, started: Start
) -> None:
    web, leaving = started(), started()
    names = [name_of(dockerd, each) for each in (web, leaving)]
    sensor.start()
    sensor.until(lambda: sensor.keeps(*names))
    sensor.kill()
    for number in range(3):
        dockerd.exec(web, "/bin/echo", f"gap-{2 * number}")
        visit(dockerd.init_pid(leaving), f"gap-{2 * number + 1}")
    dockerd.docker("rm", "-f", leaving)
    passing = started()
    dockerd.exec(passing, "/bin/echo", "gap-6")
    dockerd.docker("stop", "-t", "0", passing)
    sensor.start()
    sensor.until(lambda: "gap-6" in marked(sensor, "gap"))
    assert marked(sensor, "gap") == [f"gap-{number}" for number in range(7)]
    entries = sensor.of("entry")
    assert all(entry["witnessed"] for entry in entries)
    assert [entry["container"]["name"] for entry in entries[:6]] == names * 3
    assert entries[6]["container"]["id"] == passing
    assert [stop["container"]["id"] for stop in sensor.of("stop")] == [leaving, passing]
    assert [start["container"]["id"] for start in sensor.of("start")] == [passing]
    sensor.until(lambda: len(sensor.of("session_end")) == 7)
    ids = Counter(event["id"] for event in sensor.events())
    assert max(ids.values()) == 1


def test_killed_between_the_disk_and_the_kernel_it_tells_nothing_twice(
    sensor: Killable, dockerd: Dockerd, started: Start
) -> None:
    web = started()
    sensor.start()
    dockerd.exec(web, "/bin/echo", "once-0")
    sensor.until(lambda: marked(sensor, "once") == ["once-0"])
    for number in range(1, 4):
        sensor.flag.touch()
        dockerd.exec(web, "/bin/echo", f"once-{number}")
        sensor.until(sensor.died)
        sensor.flag.unlink()
        sensor.start()
    dockerd.exec(web, "/bin/echo", "once-4")
    sensor.until(lambda: "once-4" in marked(sensor, "once"))
    sensor.until(lambda: len(sensor.of("session_end")) == 5)
    assert marked(sensor, "once") == [f"once-{number}" for number in range(5)]
    assert len(sensor.of("exit")) == 5
    assert not sensor.of("start")


def test_another_version_takes_over_without_a_gap(
    sensor: Killable, dockerd: Dockerd, started: Start, tmp_path: Path
) -> None:
    """Another object and generation of the same layout, while somebody enters every 100 ms."""
    web = started()
    pid = dockerd.init_pid(web)
    stop = threading.Event()
    visited: list[str] = []

    def visits() -> None:
        while not stop.wait(0.1):
            visited.append(f"step-{len(visited)}")
            visit(pid, visited[-1])

    sensor.start()
    with ThreadPoolExecutor(1) as beside:
        entering = beside.submit(visits)
        try:
            for ends_by in (signal.SIGTERM, signal.SIGKILL):
                sensor.until(lambda: len(marked(sensor, "step")) > 3)
                generation = sensor.generations()
                sensor.kill(ends_by)
                newer = tmp_path / f"{ends_by.name}.bpf.o"
                newer.write_bytes(object_path().read_bytes() + ends_by.name.encode())
                sensor.start(NSENTRY_BPF_OBJECT=str(newer))
                assert sensor.generations().isdisjoint(generation)
        finally:
            stop.set()
        entering.result()
    sensor.until(lambda: marked(sensor, "step")[-1:] == visited[-1:])
    assert marked(sensor, "step") == visited


def test_unpin_after_the_end_leaves_nothing(sensor: Killable) -> None:
    sensor.start()
    assert list(sensor.pins.glob("*/link-*"))
    sensor.kill(signal.SIGTERM)
    assert "pins were taken away" in sensor.run("unpin")
    assert not sensor.pins.exists()


def test_two_sensors_do_not_share_a_folder_of_pins(
    sensor: Killable, dockerd: Dockerd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sensor.start()
    other = Killable(tmp_path_factory.mktemp("other"), str(dockerd.socket))
    other.pins = sensor.pins
    with pytest.raises(AssertionError, match="does another sensor run with it"):
        other.start()
    assert not sensor.died()


def test_who_killed_the_sensor_and_since_when_none_ran_is_noted_by_the_next(sensor: Killable) -> None:
    sensor.start()
    first = sensor.pid
    killer = subprocess.run(
        ["sh", "-c", f"kill -9 {first}; echo $$"], check=True, capture_output=True, text=True
    )
    sensor.kill()
    sensor.start()
    (note,) = sensor.notes("signal")
    assert (note["reason"], note["signal"], note["sent_by"]["pid"]) == ("SIGKILL", 9, int(killer.stdout))
    assert note["sent_by"]["comm"] == "sh"
    assert os.getpid() in [step["pid"] for step in note["ancestry"]]
    (gap,) = sensor.notes("gap")
    assert gap["recorded"]
    assert gap["since"] <= note["time"] <= gap["time"]


def test_without_what_was_pinned_the_gap_is_noted_as_not_recorded(sensor: Killable) -> None:
    sensor.start()
    sensor.kill(signal.SIGTERM)
    (note,) = sensor.notes("signal")
    assert note["reason"] == "SIGTERM"
    sensor.run("unpin")
    sensor.start()
    (gap,) = sensor.notes("gap")
    assert not gap["recorded"]


def test_pins_that_somebody_takes_away_are_noted_and_pinned_again(sensor: Killable) -> None:
    sensor.start()
    link = next(sensor.pins.glob("*/link-*exec*"))
    link.unlink()
    sensor.until(lambda: bool(sensor.notes("mended")))
    (blind,) = sensor.notes("blind")
    assert link.name in blind["reason"]
    assert link.exists()
    sensor.run("unpin")
    sensor.until(lambda: len(sensor.notes("mended")) > 1)
    sensor.kill()
    sensor.start()
    assert sensor.notes("gap")[-1]["recorded"]
