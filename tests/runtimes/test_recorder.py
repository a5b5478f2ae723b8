# SPDX-License-Identifier: Apache-2.0
"""The flight recorder, whole: a sensor killed with a session open, and what real containers saw meanwhile."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtimes.killable import Killable
from vagrant.local.dockerd import Dockerd

Start = Callable[..., str]


@pytest.fixture
def sensor(tmp_path: Path, dockerd: Dockerd) -> Iterator[Killable]:
    one = Killable(tmp_path, str(dockerd.socket))
    yield one
    one.close()


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
    sensor: Killable, container: Start, shell_in: Callable[[str], Shell]
) -> None:
    web = container()
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
    sensor: Killable, dockerd: Dockerd, container: Start
) -> None:
    web, leaving = container(), container()
    names = [name_of(dockerd, each) for each in (web, leaving)]
    sensor.start()
    sensor.until(lambda: sensor.keeps(*names))
    sensor.kill()
    for number in range(3):
        dockerd.exec(web, "/bin/echo", f"gap-{2 * number}")
        visit(dockerd.init_pid(leaving), f"gap-{2 * number + 1}")
    dockerd.docker("rm", "-f", leaving)
    passing = container()
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
    sensor: Killable, dockerd: Dockerd, container: Start
) -> None:
    web = container()
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
