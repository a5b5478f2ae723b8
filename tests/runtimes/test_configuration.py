# SPDX-License-Identifier: Apache-2.0
"""How a real container is configured is told at its start, and what dockerd changed of it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from sensor.probe import BPF_SOURCES
from sensor.wire import Configuration
from tests.runtimes.conftest import IMAGE
from tests.runtimes.day.podman import Podman
from tests.runtimes.day.work import Work
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd
from vagrant.local.service import LabError
from vagrant.local.stack import Stack

pytestmark = pytest.mark.runtimes


@pytest.fixture(scope="module")
def watching(dockerd: Dockerd, tracefs: None) -> Iterator[Watching]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching("core", [str(dockerd.socket)])
    yield watching
    watching.close()


@pytest.fixture(scope="module")
def stack(dockerd: Dockerd, tracefs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as undo:
        made = Stack(tmp_path_factory.mktemp("stack"), port, (Path(dockerd.socket),))
        made.start(undo)
        yield made


def told(watching: Watching, container: str, count: int = 1) -> Configuration:
    watching.until(lambda: len(watching.of("configuration", container)) >= count)
    found: list[Configuration] = watching.of("configuration", container)
    assert len(found) == count
    return found[-1]


def test_what_a_container_may_do_and_reaches_is_told_at_its_start(
    watching: Watching, dockerd: Dockerd
) -> None:
    options = [
        "-v",
        "/run:/host:ro",
        "--cap-drop=ALL",
        "--cap-add=SYS_PTRACE",
        "-e",
        "KEY=hidden",
        "--pid=host",
    ]
    container = dockerd.run(IMAGE, "sleep", "600", options=[*options, "--memory=64m", "--restart=always"])
    try:
        event = told(watching, container)
        settings = event["settings"]
        assert event["because"] == "start"
        assert {"source": "/run", "target": "/host", "writable": False} in (settings["mounts"] or [])
        assert settings["capabilities"] == ["CAP_SYS_PTRACE"]
        assert set(settings["host_namespaces"] or []) - {"cgroup"} == {"pid"}  # that one by cgroup version
        assert "KEY" in (settings["environment"] or [])
        assert "hidden" not in str(event)
        assert (settings["memory"], settings["restart"]) == (64 * 1024 * 1024, "always")
        assert (settings["entrypoint"] or [])[-2:] == ["sleep", "600"]
        assert (settings["image_digest"] or "").startswith("sha256:")
        assert settings["privileged"] is False
    finally:
        dockerd.docker("rm", "-f", container)


def test_what_docker_update_changes_is_told_once(watching: Watching, dockerd: Dockerd) -> None:
    container = dockerd.run(IMAGE, "sleep", "600", options=["--memory=64m"])
    try:
        before = told(watching, container)["settings"]
        dockerd.docker("update", "--restart=on-failure", container)
        for _ in range(2):
            watching.watch.descriptions.changed(container)
        after = told(watching, container, 2)
        assert after["because"] == "changed"
        assert after["settings"] == {**before, "restart": "on-failure"}
    finally:
        dockerd.docker("rm", "-f", container)


def test_a_change_by_the_daemon_is_seen_by_itself_with_before_and_after(
    stack: Stack, dockerd: Dockerd
) -> None:
    """Sensor and controller as installed: the daemon's own event is what makes the sensor look."""
    container = dockerd.run(IMAGE, "sleep", "600", options=["--memory=64m"], name="before")

    def configurations(count: int) -> list[dict[str, Any]]:
        for _ in range(300):
            with suppress(LabError):  # no sensor has told of it yet
                found: list[dict[str, Any]] = stack.read("containers", "show", container)[0]["configuration"]
                if len(found) >= count:
                    return found
            time.sleep(0.1)
        raise AssertionError(f"not {count} configurations of {container}")

    try:
        configurations(1)
        dockerd.docker("update", "--memory=128m", "--memory-swap=128m", container)
        latest = configurations(2)[0]
        assert latest["changes"] == [{"setting": "memory", "before": 64 << 20, "after": 128 << 20}]
        dockerd.docker("rename", container, "after")
        configurations(3)
        assert stack.read("containers", "show", container)[0]["name"] == "after"
    finally:
        dockerd.docker("rm", "-f", container)


def test_podmans_containers_have_the_same_settings(tracefs: None) -> None:
    with ExitStack() as undo:
        podman = Podman(Work(), undo)
        watching = Watching("core", [str(podman.socket)])
        undo.callback(watching.close)
        podman.stay()
        limits = (
            "--memory=64m",
            "--cpus=0.5",
            "--pids-limit=50",
            "--restart=on-failure:3",
            "--env=KEY=hidden",
        )
        container = podman.container(*limits, "--user=1000:1000", "--read-only")
        watching.until(lambda: bool(watching.of("configuration", container)), 60)
        event = watching.of("configuration", container)[-1]
        settings = event["settings"]
        assert (settings["memory"], settings["cpus"], settings["pids"]) == (64 << 20, 500_000_000, 50)
        assert (settings["restart"], settings["user"], settings["read_only"]) == (
            "on-failure:3",
            "1000:1000",
            True,
        )
        assert (settings["image_digest"] or "").startswith("sha256:")
        assert "KEY" in (settings["environment"] or [])
        assert "hidden" not in str(event)
