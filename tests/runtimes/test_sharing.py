# SPDX-License-Identifier: Apache-2.0
"""Containers that share namespaces, or wait to be started: the right container or none, never a wrong one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from tests.runtimes.ways.targets import PODMAN_IMAGE, SLEEP, Ground, engine, rootless_engine
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

SHARED = {"net": ("--network", "-n"), "pid": ("--pid", "-p"), "ipc": ("--ipc", "-i")}


@pytest.fixture(scope="module")
def ground(dockerd: Dockerd) -> Iterator[Ground]:
    with ExitStack() as undo:
        yield Ground(dockerd, undo)


@pytest.fixture(scope="module")
def first(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    container = dockerd.run(IMAGE, "sleep", "3600", options=["--ipc=shareable"])
    watching.until(lambda: bool(watching.of("start", container)))
    yield container
    dockerd.docker("rm", "-f", container)


@pytest.mark.parametrize("kind", SHARED)
def test_of_containers_that_share_a_namespace_the_one_that_was_entered_is_told_or_none(
    kind: str, dockerd: Dockerd, watching: Watching, first: str
) -> None:
    option, join = SHARED[kind]
    watching.events.clear()
    second = dockerd.run(IMAGE, "sleep", "3600", options=[f"{option}=container:{first}"])
    try:
        watching.until(lambda: bool(watching.of("start", second)))
        assert not [
            event
            for event in watching.events
            if event["kind"] in {"entry", "attempt"} and _of(event) & {first, second}
        ]
        for container in (first, second):
            pid = str(dockerd.init_pid(container))
            (by_runtime,) = [watching.visit(lambda: dockerd.exec(container, "true"), container)[0]]  # noqa: B023
            assert by_runtime["means"] == "docker-exec"
            whole = ["nsenter", "-t", pid, "-m", join, "/bin/busybox", "true"]
            entry = watching.visit(lambda: subprocess.run(whole, check=True), container)[0]  # noqa: B023
            assert (entry["means"], entry["ns_container"]) == ("ns-join", container)
            part = ["nsenter", "-t", pid, join, "true"]
            watching.during(
                lambda: subprocess.run(part, check=True),  # noqa: B023
                lambda: any(
                    event["kind"] == "entry" and event["verdict"] == "shared" for event in watching.events
                ),
            )
            (entry,) = (
                event
                for event in watching.events
                if event["kind"] == "entry" and event["verdict"] == "shared"
            )
            assert (entry["means"], entry["namespaces"]) == ("ns-join", [kind])
            assert entry["container"]["id"] is None
    finally:
        dockerd.docker("rm", "-f", second)


def _of(event: dict) -> set[str | None]:  # type: ignore[type-arg]
    return {event["container"]["id"]}


def test_a_process_that_is_orphaned_in_the_hosts_pid_namespace_is_the_containers_own(
    dockerd: Dockerd, watching: Watching, first: str
) -> None:
    """There a daemon's parent is no first process of the container, but the shim or init."""
    watching.events.clear()
    daemons = (
        "(setsid sh -c 'sleep 0.5; busybox true; (sh -c \"sleep 0.3; busybox true\" &); true' &); "
        "sleep 0.2; (sh -c 'sleep 0.6; busybox true; busybox true' &); exec sleep 600"
    )
    container = dockerd.run(IMAGE, "sh", "-c", daemons, options=["--pid=host"])
    try:
        watching.until(lambda: bool(watching.of("start", container)))
        # A daemon of the host, and one in a mount namespace of its own.
        host = "(setsid sh -c 'sleep 0.3; true' &); (unshare -m sh -c '(sh -c \"sleep 0.3; true\" &); sleep 0.1' &)"
        subprocess.run(["sh", "-c", host], check=True)
        watching.pump(2)
        told = [
            (event["kind"], event["process"] and event["process"]["argv"])
            for event in watching.events
            if event["kind"] in {"entry", "escape"} and event["container"]["id"] in {container, None}
        ]
        assert told == []
        assert not watching.of("attempt", container)
        watching.events.clear()
        # A daemon that a visitor leaves behind stays his.
        watching.visit(
            lambda: dockerd.exec(container, "sh", "-c", "(setsid sh -c 'sleep 0.5; busybox true' &); true"),
            container,
        )
        assert ["busybox", "true"] in [
            event["process"]["argv"] for event in watching.events if event["kind"] == "command"
        ]
    finally:
        dockerd.docker("rm", "-f", container)


def test_a_visit_to_a_container_that_waits_to_be_started_is_an_entry_and_its_start_is_told_later(
    ground: Ground, watching: Watching
) -> None:
    command: list[str] = ground.once("engine", engine)

    def podman(*arguments: str) -> str:
        done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    made = podman("--runtime", "crun", "create", "--net=none", PODMAN_IMAGE, *SLEEP)
    podman("init", made)
    pid = podman("inspect", "-f", "{{.State.Pid}}", made)
    visit = ["nsenter", "-t", pid, "-m", "-u", "/bin/busybox", "true"]
    entry = watching.visit(lambda: subprocess.run(visit, check=True), made)[0]
    assert (entry["means"], entry["verdict"], entry["ns_container"]) == ("ns-join", "ns-only", made)
    assert entry["container"]["runtime"] == "podman"
    watching.during(lambda: podman("start", made), lambda: bool(watching.of("start", made)))
    assert not watching.of("entry", made)


def test_a_users_container_that_shows_only_a_moment_later_has_a_start_that_says_so(
    ground: Ground, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On cgroup v1 its conmon alone names it, which may be looked at too early: here always."""
    command: list[str] = ground.once("rootless-engine", rootless_engine)
    line = [*command, "--runtime", "runc", "run", "-d", "--net=none", PODMAN_IMAGE, *SLEEP]
    started = watching.containers.started
    early: set[int] = set()

    def nobodys(pid: int, start: int, mnt: int, *rest: object) -> object:
        found = started(pid, start, mnt, *rest)  # type: ignore[arg-type]
        if found is None or found.container["runtime"] != "podman":
            return found
        early.add(mnt)
        watching.containers.stopped(mnt, pid)
        return None

    monkeypatch.setattr(watching.containers, "started", nobodys)
    told: list[str] = []

    def act() -> None:
        done = subprocess.run(line, check=True, capture_output=True, text=True)
        told.append(done.stdout.split()[-1])

    watching.during(act, lambda: bool(told) and bool(watching.of("start", told[0])))
    (start,) = watching.of("start", told[0])
    assert early
    assert (start["witnessed"], tuple(start["process"]["argv"])) == (False, SLEEP)
    assert start["container"]["runtime"] == "podman"
    assert not watching.of("entry", told[0])
