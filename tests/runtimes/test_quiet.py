# SPDX-License-Identifier: Apache-2.0
"""A day on a busy container host, on which nobody enters anything: no entry but probes, and no alert.

Docker, podman and pods by a whole sensor and a controller. `NSENTRY_QUIET_ROUNDS=N` repeats it: each round is
some 110 operations. `make test` runs one.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.containerd import Containerd
from tests.runtimes.day.docker import Docker
from tests.runtimes.day.podman import Podman
from tests.runtimes.day.pods import Kubelet
from tests.runtimes.day.work import Work
from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

pytestmark = [pytest.mark.runtimes, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("NSENTRY_QUIET_ROUNDS", "1"))
PATIENCE_S = 240.0


class Day:
    """All that runs on it, from morning to evening."""

    def __init__(self, dockerd: Dockerd, folder: Path, undo: ExitStack) -> None:
        self.work = Work()
        self.dockerd = dockerd
        self.containerd = undo.enter_context(Containerd())
        manifests = folder / "manifests"
        manifests.mkdir()
        podman = Podman(self.work, undo)
        self.hosts = (
            Docker(self.work, dockerd),
            podman,
            Kubelet(self.work, self.containerd, manifests),
        )
        self.folders = (str(dockerd.folder), str(podman.socket.parent), str(self.containerd.folder))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder / "stack", port, (Path(dockerd.socket), podman.socket))
        os.environ["NSENTRY_SENSOR_PROBES_MANIFESTS"] = str(manifests)
        undo.callback(os.environ.pop, "NSENTRY_SENSOR_PROBES_MANIFESTS")
        self.stack.start(undo)

    def pass_by(self, rounds: int) -> None:
        """The day itself."""
        for host in self.hosts:
            host.stay()
        for _ in range(rounds):
            for host in self.hosts:
                for part in host.parts:
                    part()

    def told(self) -> list[dict[str, Any]]:
        """Entries, attempts and escapes of this day's containers, as the controller has them at its end.

        A visitor comes last, so that all before him has arrived; he is not among them.
        """
        visited = self.dockerd.run("busybox:quiet", "sleep", "600")
        self.dockerd.exec(visited, "env", "last=visit")
        until = time.monotonic() + PATIENCE_S
        while not self.stack.read("entries", "list", "--container", visited, "--means", "docker-exec"):
            assert time.monotonic() < until, f"the visit did not arrive: {self.stack.sensor_status()}"
        ours = [
            each
            for each in self.stack.read("entries", "list", "--means", "all", "--limit", "100000")
            if self._mine(each)
        ]
        return [each for each in ours if each["container"]["id"] != visited]

    def _mine(self, told: dict[str, Any]) -> bool:
        """Whether it comes from this day; others may use the machine. Of no container: by who stands above."""
        if told["container"]["id"] is not None:
            return told["container"]["id"] in self.work.made
        lines = [" ".join(step["argv"] or []) for step in (told["entered_by"], *told["ancestry"])]
        return any(folder in line for folder in self.folders for line in lines)

    def alerted(self) -> list[tuple[str, str]]:
        """The alerts on visits to this day's containers, the last visit's apart: title and sentence.

        Others are on how a container is configured, for the day has some that lead to the host, systemd's for one; and
        on files that are copied, which each `cp` of the day is.
        """
        alerts = self.stack.read("alerts", "list", "--state", "all", "--limit", "100000")
        visits = [each for each in alerts if not {"container", "records"} & set(each["session"].split("/"))]
        ours = [each for each in visits if each["container"]["id"] in self.work.made]
        return [(each["title"], each["sentence"]) for each in ours]


def brief(told: dict[str, Any]) -> tuple[object, ...]:
    """What it takes to see why it was told."""
    process = told["process"] or {}
    chain = [(step["comm"], step["argv"]) for step in (told["entered_by"], *told["ancestry"])]
    into = (told["container"]["name"], told["container"]["image"])
    return told["time"], told["kind"], told["means"], told["namespaces"], into, process.get("argv"), chain


@pytest.fixture(scope="module")
def day(dockerd: Dockerd, tracefs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    with ExitStack() as undo:
        day = Day(dockerd, tmp_path_factory.mktemp("day"), undo)
        day.pass_by(ROUNDS)
        yield day
        for host in day.hosts:
            host.end()


def test_a_day_without_a_visitor_has_no_entry_but_probes_and_no_alert(day: Day) -> None:
    told = day.told()
    others = [each for each in told if each["means"] != "probe"]
    said = (
        f"{day.work.operations} operations, {len(day.work.made)} containers, {len(told) - len(others)} probes"
    )
    print(said)
    assert not others, f"{len(others)} entries in {said}: {list(map(brief, others[:8]))}"
    assert not day.alerted()
    assert len(told) > 3 * ROUNDS, "there were no probes"
