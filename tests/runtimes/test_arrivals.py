# SPDX-License-Identifier: Apache-2.0
"""Who is moved into a real container's cgroup and executes nothing, and who only moves about in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.enrich import cgroupfs, procfs
from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes


@pytest.fixture(scope="module")
def web(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    container = dockerd.run(IMAGE, "sh", "-c", "sleep 3600 & exec sleep 3601")
    watching.until(lambda: bool(watching.of("start", container)))
    yield container
    dockerd.docker("rm", "-f", container)


def folders(container: str) -> list[Path]:
    """Of its cgroup, in each hierarchy."""
    return [path for path in Path("/sys/fs/cgroup").rglob(f"*{container}*") if path.is_dir()]


def move(pid: int, to: list[Path]) -> None:
    moved = 0
    for folder in to:
        try:
            (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")
            moved += 1
        except OSError:  # a controller that takes nobody before it is set up
            continue
    assert moved


def test_the_numbers_of_a_containers_cgroup_are_found_by_its_path(dockerd: Dockerd, web: str) -> None:
    paths = {line.split(":", 2)[2] for line in procfs.cgroups(dockerd.init_pid(web)) if web in line}
    assert paths
    numbers = {number for path in paths for number in cgroupfs.numbers(path)}
    assert numbers & {folder.stat().st_ino for folder in folders(web)}
    assert cgroupfs.numbers("/../..") == cgroupfs.numbers("/") == cgroupfs.numbers("/nosuch") == []


def test_a_process_that_was_moved_into_the_cgroup_and_stays_is_an_entry(
    watching: Watching, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.entry.arrivals.STAY_NS", 200_000_000)
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        watching.events.clear()
        move(sleeper.pid, folders(web))
        watching.until(lambda: bool(watching.of("entry", web)))
        (entry,) = watching.of("entry", web)
        assert (entry["means"], entry["verdict"], entry["namespaces"]) == ("cgroup-join", "cgroup-only", [])
        assert entry["process"]["argv"] == ["sleep", "600"]
        assert entry["process"]["pid"] == sleeper.pid
        assert entry["entered_by"]["side"] == "host"
        assert entry["entered_by"]["pid"] != sleeper.pid
        assert entry["witnessed"]
    finally:
        sleeper.terminate()
        sleeper.wait()

    def told() -> list[str]:
        return [event["kind"] for event in watching.events if event.get("session") == entry["id"]]

    watching.until(lambda: "session_end" in told())
    assert told() == ["entry", "exit", "session_end"]


def test_a_process_that_was_moved_in_and_out_again_has_not_entered(
    watching: Watching, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.entry.arrivals.STAY_NS", 500_000_000)
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        watching.events.clear()
        inside = folders(web)
        move(sleeper.pid, inside)
        move(sleeper.pid, [folder.parent.parent for folder in inside])
        watching.pump(1.5)
    finally:
        sleeper.kill()
        sleeper.wait()
    watching.pump(0.2)
    assert not watching.of("entry", web)
    assert not watching.of("attempt", web)


def test_a_containers_own_processes_may_be_moved_within_it(
    dockerd: Dockerd, watching: Watching, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd does in a container."""
    monkeypatch.setattr("sensor.entry.arrivals.STAY_NS", 100_000_000)
    init = dockerd.init_pid(web)
    (child,) = Path(f"/proc/{init}/task/{init}/children").read_text(encoding="ascii").split()
    inner = [folder / "inner" for folder in folders(web)]
    watching.events.clear()
    try:
        for folder in inner:
            folder.mkdir()
        move(int(child), inner)
        watching.visit(lambda: dockerd.exec(web, "true"), web)
        move(int(child), [folder.parent for folder in inner])
        watching.pump(0.5)
    finally:
        for folder in inner:
            folder.rmdir()
    assert [entry["means"] for entry in watching.of("entry", web)] == ["docker-exec"]
