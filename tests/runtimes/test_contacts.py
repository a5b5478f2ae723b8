# SPDX-License-Identifier: Apache-2.0
"""Who talks to the real daemon: which process, of which container, by whatever path it takes to the socket."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sensor.entry.contacts import Contacts
from sensor.probe.contacts import Contact, Listeners
from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import CLIENT, Dockerd

pytestmark = pytest.mark.runtimes

CURL = "/usr/bin/curl"
_CONNECTS = """
import socket, sys
for _ in range(int(sys.argv[2])):
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
"""


def mounts(*programs: str) -> list[str]:
    """Options that bring programs of this machine into a container, with what they are linked with."""
    found = {program: program for program in programs}
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        found |= {path: os.path.realpath(path) for path in re.findall(r"/\S+", listed)}
    return [f"--volume={there}:{here}:ro" for here, there in found.items()]


def contacts(watching: Watching, **wanted: object) -> list[Any]:
    told = [event for event in watching.events if event["kind"] == "contact"]
    return [event for event in told if all(event[name] == value for name, value in wanted.items())]


@pytest.fixture
def with_socket(dockerd: Dockerd, watching: Watching):
    """A container that has the folder of docker's socket under another name, and curl."""
    options = [f"--volume={dockerd.socket.parent}:/elsewhere", "--network=none", *mounts(CURL)]
    container = dockerd.run(IMAGE, "sh", "-c", "ln -s /elsewhere/docker.sock /s; sleep 600", options=options)
    watching.known(container)
    watching.events.clear()
    yield container
    dockerd.docker("rm", "-f", container)


@pytest.mark.parametrize("path", ["/elsewhere/docker.sock", "/s", "/proc/self/root/s"])
def test_a_client_in_a_container_is_told_whatever_it_calls_the_socket(
    path: str, dockerd: Dockerd, watching: Watching, with_socket: str
) -> None:
    asks = ("curl", "-s", "--unix-socket", path, "http://docker/version")
    session = watching.visit(lambda: dockerd.exec(with_socket, *asks), with_socket)
    (told,) = [event for event in session if event["kind"] == "contact"]
    assert (told["runtime"], told["place"]) == ("docker", str(dockerd.socket))
    assert told["container"]["id"] == with_socket
    assert told["process"]["argv"] == list(asks)
    assert (told["process"]["exe"], told["process"]["comm"], told["process"]["uid"]) == (CURL, "curl", 0)
    assert (told["daemon"]["comm"], told["daemon"]["side"], told["daemon_container"]) == (
        "dockerd",
        "host",
        None,
    )
    assert told["session"] == session[0]["session"]


def test_a_container_that_talks_to_the_daemon_by_itself_is_told(dockerd: Dockerd, watching: Watching) -> None:
    script = "sleep 1; curl -s --unix-socket /s http://docker/version; sleep 600"
    options = [f"--volume={dockerd.socket}:/s:ro", "--network=none", *mounts(CURL)]
    container = dockerd.run(IMAGE, "sh", "-c", script, options=options)
    try:
        watching.until(lambda: bool(watching.of("contact", container)))
    finally:
        dockerd.docker("rm", "-f", container)
    (told,) = watching.of("contact", container)
    assert (told["session"], told["login"]) == (None, None)
    assert told["process"]["argv"][:3] == ["curl", "-s", "--unix-socket"]
    assert "container" in {step["side"] for step in told["ancestry"]}


def test_the_client_of_a_docker_exec_is_told_before_the_entry(
    dockerd: Dockerd, watching: Watching, container: Any
) -> None:
    """So that who typed it can be found: the process tree of the entry ends at the shim."""
    entered = container()
    watching.known(entered)
    watching.visit(lambda: dockerd.exec(entered, "id", "-u"), entered)
    (entry,) = watching.of("entry", entered)
    told = [
        event
        for event in contacts(watching, container=None, runtime="docker")
        if event["process"]["argv"][-4:] == ["exec", entered, "id", "-u"]
    ]
    assert told
    assert told[0]["mono"] < entry["mono"]
    assert told[0]["process"]["exe"] == os.path.realpath(CLIENT)
    assert os.getpid() in {step["pid"] for step in told[0]["ancestry"]}


def test_a_socket_that_is_no_daemons_is_told_to_the_kernel_once(
    watching: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "docker.sock"
    told: list[str] = []
    take = Contacts.take

    def taken(self: Contacts, seen: Contact, listeners: Listeners | None) -> object:
        told.append(seen.socket)
        return take(self, seen, listeners)

    monkeypatch.setattr(Contacts, "take", taken)
    connects = [sys.executable, "-c", _CONNECTS, str(path)]
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind(str(path))
        listens.listen(64)
        watching.during(lambda: subprocess.run([*connects, "1"], check=True), lambda: str(path) in told)
        subprocess.run([*connects, "20"], check=True)
        watching.pump(0.5)
    assert told.count(str(path)) == 1
    assert [event for event in contacts(watching) if event["place"] == str(path)] == []


def test_a_client_that_connects_again_and_again_is_counted(watching: Watching, dockerd: Dockerd) -> None:
    line = [sys.executable, "-c", _CONNECTS, str(dockerd.socket), "20"]
    watching.during(lambda: subprocess.run(line, check=True), lambda: bool(contacts(watching)))
    mine = [event for event in contacts(watching) if event["process"]["argv"] == line]
    assert len(mine) == 1
