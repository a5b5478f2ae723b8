# SPDX-License-Identifier: Apache-2.0
"""A day on a busy container host, on which nobody enters anything: no entry, no attempt, no escape.

`NSENTRY_QUIET_ROUNDS=N` repeats it: each round is about 20 operations. `make test` runs 6 rounds.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = [pytest.mark.runtimes, pytest.mark.timeout(1800)]

ROUNDS = int(os.environ.get("NSENTRY_QUIET_ROUNDS", "6"))
IMAGE = "busybox:quiet"
CRON = "mkdir -p /c && echo '* * * * * true' > /c/root && exec crond -f -c /c"

_names = itertools.count(1)


class Day:
    """Operations of an ordinary day, each counted, with the containers that they made."""

    def __init__(self, docker: Dockerd, folder: Path) -> None:
        self.made: set[str] = set()
        self.operations = 0
        self._docker = docker
        self._folder = folder

    def do(self, *arguments: str, fails: bool = False) -> str:
        """One operation."""
        self.operations += 1
        command = self._docker.command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=not fails, timeout=60)
        return done.stdout.strip()

    def container(self, *command: str, options: tuple[str, ...] = ()) -> str:
        """One more container."""
        made = self.do("run", "-d", *options, IMAGE, *(command or ("sleep", "600")))
        self.made.add(made)
        return made

    def burst(self) -> None:
        """Several at once, each with its own short life, as a compose file starts them."""
        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(self._short)

    def _short(self) -> None:
        name = f"quiet{os.getpid()}x{next(_names)}"
        self.made.add(self.do("create", "--name", name, IMAGE, "true"))
        self.do("start", "-a", name)

    def life(self) -> None:
        """One container through all that is done to it from outside."""
        web = self.container("sh", "-c", CRON)
        for verb in ("restart", "pause", "unpause", "top", "stats", "logs", "update"):
            options = {
                "restart": ("-t", "0"),
                "stats": ("--no-stream",),
                "update": ("--restart", "no"),
            }.get(verb, ())
            self.do(verb, *options, web)
        file = self._folder / "file"
        file.write_text("text")
        self.do("cp", str(file), f"{web}:/file")
        self.do("cp", f"{web}:/file", str(file))
        self.do("rename", web, f"quiet{os.getpid()}r{next(_names)}")
        self.do("stop", "-t", "0", web)
        self.do("start", web)
        self.do("kill", web)

    def company(self) -> None:
        """Containers that share what others have of their own."""
        first = self.container(options=("--ipc", "shareable"))
        for kind in ("pid", "network", "ipc"):
            self.container("sh", "-c", "ps; true", options=(f"--{kind}=container:{first}",))
        self.container("true", options=("--network", "host", "--pid", "host"))
        network = f"quiet{os.getpid()}n{next(_names)}"
        self.do("network", "create", network)
        self.do("network", "connect", network, first)
        self.do("network", "disconnect", network, first)
        self.do("network", "rm", network)
        self.do("rm", "-f", first)

    def trouble(self) -> None:
        """What does not go well."""
        self.do("run", "--rm", IMAGE, "/bin/nosuch", fails=True)
        self.do("run", "--rm", IMAGE, "false", fails=True)
        self.container("false", options=("--restart", "on-failure:2"))

    def build(self) -> None:
        """An image of two steps, by the daemon's own builder."""
        self.operations += 2
        tag = f"quiet:{next(_names)}"
        self._docker.build(tag, f"FROM {IMAGE}\nRUN echo {tag} > /made\nRUN cat /made\n")
        self.do("rmi", tag)


@pytest.fixture
def watching(dockerd: Dockerd) -> Iterator[Watching]:
    watching = Watching("core", [str(dockerd.socket)])
    yield watching
    watching.close()


def test_a_day_without_a_visitor_has_no_entry(dockerd: Dockerd, watching: Watching, tmp_path: Path) -> None:
    dockerd.image(IMAGE)
    day = Day(dockerd, tmp_path)

    def through(part: Callable[[], None]) -> None:
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(part)
            watching.until(done.done, 120)
            done.result()

    for _ in range(ROUNDS):
        for part in (day.burst, day.life, day.company, day.trouble, day.build):
            through(part)
    through(lambda: day.do("rm", "-f", *day.made, fails=True) and None)
    watching.until(
        lambda: (
            {each["container"]["id"] for each in watching.events if each["kind"] == "stop"}
            >= {
                each["container"]["id"]
                for each in watching.events
                if each["kind"] == "start" and each["container"]["id"] in day.made
            }
        )
    )
    told = [each for each in watching.events if each["kind"] in {"entry", "attempt", "escape"}]
    ours = [each for each in told if each["container"]["id"] in day.made]
    assert not ours, f"{len(ours)} in {day.operations} operations, the first: {ours[0]}"
    print(f"{day.operations} operations, {len(day.made)} containers, no entry")
