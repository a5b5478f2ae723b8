# SPDX-License-Identifier: Apache-2.0
"""The fastest flood of execs that the machine can make, and every entry with its commands comes through.

Some seconds each; NSENTRY_FLOOD_SECONDS=60 makes them as long as one likes, `-s` prints the figures.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sensor.agent import Agent
from sensor.config import Config
from sensor.entry.activity import LOST
from sensor.entry.left_out import LEFT_OUT
from sensor.health import Health
from sensor.identity import describe_host
from sensor.probe import BPF_SOURCES, Probe
from tests.flooding import build
from tests.runtimes.conftest import IMAGE
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

SECONDS = float(os.environ.get("NSENTRY_FLOOD_SECONDS", "4"))
WAIT_S = 60
BURST, RATE = 4096, 256
"""Of a session, by bpf/budget.h."""
WORKERS = str(os.cpu_count() or 2)


class Sensor:
    """The sensor's own loop in a thread, up to where its events would go to the spool."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.events: list[Any] = []
        flags = {"state_dir": str(folder), "docker.sockets": [str(socket)], "pins": "off"}
        numbers = itertools.count(1)
        self.health = Health(describe_host("host", "boot"))
        config = Config.load(flags, None, {}, folder)
        self.agent = Agent(config, self.health, lambda: f"host/boot/{next(numbers)}", self.events.append)
        self.probe: Probe = self.agent.open("core")
        self.agent.metadata.start()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.cpu_s = 0.0

    def _run(self) -> None:
        while not self._stop.is_set():
            self.agent.turn(self.probe)
            self.cpu_s = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        self.agent.count(self.probe)

    def close(self) -> None:
        """Stop, and tell what was lost meanwhile."""
        self._stop.set()
        self._thread.join()
        self.agent.metadata.close()
        self.probe.close()

    def until(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not seen():
            assert time.monotonic() < deadline, f"not seen; the last events: {self.events[-5:]}"
            time.sleep(0.1)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event["kind"] == kind]

    def lost(self, cause: str) -> dict[str | None, int]:
        """What was told as lost, by container."""
        found: dict[str | None, int] = {}
        for event in self.of("loss"):
            if event["cause"] == cause:
                container = event.get("container_id")
                found[container] = found.get(container, 0) + event["count"]
        return found


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("flood"))


@pytest.fixture
def sensor(tmp_path: Path, dockerd: Dockerd) -> Iterator[Sensor]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    one = Sensor(tmp_path, dockerd.socket)
    yield one
    one.close()


@dataclass
class Visits:
    """What was done beside the flood, and what the flood says of itself."""

    done: int
    executed: int


def beside(flooding: Callable[[], str], visit: Callable[[int], None]) -> Visits:
    """One visit each second for as long as `flooding` lasts."""
    with ThreadPoolExecutor(1) as beside:
        work = beside.submit(flooding)
        number = 0
        while not work.done():
            begin = time.monotonic()
            visit(number)
            number += 1
            time.sleep(max(0.0, min(1.0, 1.0 - (time.monotonic() - begin))))
        return Visits(number, int(work.result()))


@pytest.fixture
def web(dockerd: Dockerd, sensor: Sensor, flood: Path) -> Iterator[str]:
    container = dockerd.run(IMAGE, "sleep", "3600", options=["-v", f"{flood}:/flood"])
    sensor.until(lambda: any(start["container"]["id"] == container for start in sensor.of("start")))
    yield container
    dockerd.docker("rm", "-f", container)


def visitor(dockerd: Dockerd, container: str) -> Callable[[int], None]:
    """Docker exec of a shell that runs two programs and ends with a code of its own."""

    def visit(number: int) -> None:
        script = f"busybox echo first {number}; busybox echo second {number}; exit {number % 100}"
        done = subprocess.run(
            dockerd.command("exec", container, "sh", "-c", script), check=False, capture_output=True
        )
        assert done.returncode == number % 100

    return visit


def assert_all_there(sensor: Sensor, container: str, visits: int) -> None:
    """Each visit is one session with its commands in order, their exits, and the shell's code at its end."""

    def sessions() -> dict[int, str]:
        return {
            int(entry["process"]["argv"][2].split()[3].rstrip(";")): entry["session"]
            for entry in sensor.of("entry")
            if entry["container"]["id"] == container and entry["process"]["argv"][:2] == ["sh", "-c"]
        }

    def over() -> bool:
        ended = {end["session"] for end in sensor.of("session_end")}
        return len(sessions()) >= visits and set(sessions().values()) <= ended

    sensor.until(over)
    assert visits > 0
    assert sorted(sessions()) == list(range(visits))
    by_session: dict[str, list[Any]] = {}
    for event in list(sensor.events):
        by_session.setdefault(event.get("session", ""), []).append(event)
    for number, session in sessions().items():
        events = by_session[session]
        commands = [event["process"]["argv"] for event in events if event["kind"] == "command"]
        assert commands == [["busybox", "echo", which, str(number)] for which in ("first", "second")]
        assert [event["code"] for event in events if event["kind"] == "exit"] == [0, 0, number % 100]
        assert events[-1]["kind"] == "session_end"
        assert events[-1]["code"] == number % 100
    assert sensor.health.counters.get("kernel.lost.ring") == 0


def say(what: str, sensor: Sensor, visits: Visits) -> None:
    """The figures, for who runs it by hand."""
    counters = {name: n for name, n in sensor.health.counters.snapshot().items() if "lost" in name and n}
    print(
        f"\n{what}: {visits.executed} execs in {SECONDS:.0f} s ({visits.executed / SECONDS:,.0f}/s), "
        f"{visits.done} visits, sensor {sensor.cpu_s:.1f} s of CPU, lost {counters}"
    )


def test_on_the_host(dockerd: Dockerd, sensor: Sensor, web: str, flood: Path) -> None:
    def flooding() -> str:
        command = [str(flood), WORKERS, str(SECONDS), "0"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    visits = beside(flooding, visitor(dockerd, web))
    assert_all_there(sensor, web, visits.done)
    assert not sensor.lost(LEFT_OUT)
    say("on the host", sensor, visits)


@pytest.mark.parametrize("alike", [True, False], ids=["alike", "all different"])
def test_by_a_containers_own_processes(
    alike: bool, dockerd: Dockerd, sensor: Sensor, web: str, flood: Path
) -> None:
    """What the ordinary lane loses is told of that container, and the sum is what the kernel counted."""
    differ = [] if alike else ["differ"]
    command = ["/flood", WORKERS, str(SECONDS), "0", *differ]

    def flooding() -> str:
        nonlocal flooder
        flooder = dockerd.run(IMAGE, *command, options=["-v", f"{flood}:/flood"])
        dockerd.docker("wait", flooder, timeout=SECONDS + WAIT_S)
        return dockerd.docker("logs", flooder)

    flooder = ""
    visits = beside(flooding, visitor(dockerd, web))
    assert_all_there(sensor, web, visits.done)
    tally = max(sensor.probe.ordinary.tallies().values(), key=lambda one: one.all)
    sensor.close()
    assert visits.executed <= tally.all <= visits.executed + 10
    assert sensor.lost(LOST).get(flooder, 0) == tally.lost
    assert sensor.lost(LOST).get(web, 0) == 0
    if alike:
        assert tally.lost == 0
        assert tally.told < 20
    else:
        assert tally.told + tally.lost >= visits.executed
    say(f"in a container, {'alike' if alike else 'all different'} ({tally})", sensor, visits)
    dockerd.docker("rm", "-f", flooder)


def test_in_a_session(dockerd: Dockerd, sensor: Sensor, web: str) -> None:
    """What is beyond the session's budget is told as left out of its container, to the last command."""
    visits = beside(
        lambda: dockerd.docker("exec", web, "/flood", WORKERS, str(SECONDS), "0", timeout=SECONDS + WAIT_S),
        visitor(dockerd, web),
    )
    assert_all_there(sensor, web, visits.done)
    (session,) = (entry["session"] for entry in sensor.of("entry") if entry["process"]["argv"][0] == "/flood")
    sensor.until(lambda: any(end["session"] == session for end in sensor.of("session_end")))
    sensor.close()
    told = sum(event["session"] == session for event in sensor.of("command"))
    left_out = sensor.lost(LEFT_OUT).get(web, 0)
    assert told + left_out == visits.executed
    assert left_out > 0 or visits.executed < BURST + RATE * (SECONDS + 1)
    say(f"in a session ({told} commands told)", sensor, visits)
