# SPDX-License-Identifier: Apache-2.0
"""Each way into a real docker container is one entry, of the right means; a start and its kin are none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from sensor.probe import BPF_SOURCES
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes


@pytest.fixture(scope="module", params=["core", "bcc"])
def watching(request: pytest.FixtureRequest, dockerd: Dockerd) -> Iterator[Watching]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching(request.param, [str(dockerd.socket)])
    yield watching
    watching.close()


@pytest.fixture(scope="module")
def web(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    dockerd.image("busybox:demo")
    container = dockerd.run("busybox:demo", "sleep", "3600", options=["--label", "team=shop"])
    watching.until(lambda: bool(watching.of("start", container)))
    yield container
    dockerd.docker("rm", "-f", container)


EXECS = {
    "a shell": ([], ["sh", "-c", "true; exec id"]),
    "no shell": ([], ["id"]),
    "another user": (["-u", "65534"], ["id"]),
    "detached": (["-d"], ["id"]),
    "with a working folder": (["-w", "/bin"], ["ls"]),
}


@pytest.mark.parametrize("case", EXECS)
def test_docker_exec_is_one_entry_by_docker_exec(
    case: str, dockerd: Dockerd, watching: Watching, web: str
) -> None:
    options, command = EXECS[case]
    events = watching.visit(lambda: dockerd.exec(web, *command, options=options), web)
    entry = events[0]
    assert (entry["kind"], entry["means"], entry["verdict"]) == ("entry", "docker-exec", "both")
    assert entry["namespaces"] == ["ipc", "mnt", "net", "pid", "uts"]
    assert entry["process"]["argv"] == command
    assert entry["process"]["uid"] == (65534 if "-u" in options else 0)
    assert entry["process"]["cwd"] == ("/bin" if "-w" in options else "/")
    assert entry["process"]["tty"] is None
    assert entry["entered_by"]["comm"] == "runc"
    assert entry["exec_id"]
    assert len(entry["exec_id"]) == 64
    assert entry["ancestry"][-1]["pid"] == 1
    assert events[-1]["kind"] == "session_end"
    assert events[-1]["code"] == 0


def test_an_entry_knows_its_container_by_name_image_and_label(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    watching.visit(lambda: dockerd.exec(web, "true"), web)
    entry = watching.visit(lambda: dockerd.exec(web, "true"), web)[0]
    assert entry["container"]["runtime"] == "docker"
    assert entry["container"]["image"] == "busybox:demo"
    assert entry["container"]["labels"]["team"] == "shop"
    assert entry["container"]["name"] == dockerd.docker("inspect", "-f", "{{.Name}}", web).strip().strip("/")


def test_an_exec_with_a_terminal_says_which(dockerd: Dockerd, watching: Watching, web: str) -> None:
    client = [*dockerd.command("exec", "-t", web, "id")]
    script = ["script", "-qec", " ".join(client), "/dev/null"]
    events = watching.visit(
        lambda: subprocess.run(script, check=True, capture_output=True, stdin=subprocess.DEVNULL), web
    )
    assert events[0]["process"]["tty"] == "pts/0"


@pytest.mark.parametrize(
    ("options", "namespaces"),
    [
        (["-a"], ["ipc", "mnt", "net", "pid", "uts"]),
        (["-m"], ["mnt"]),
        (["-m", "-p"], ["mnt", "pid"]),
        (["-n"], ["net"]),
        (["-m", "-p", "-F"], ["mnt", "pid"]),
    ],
)
def test_nsenter_is_one_entry_by_namespace_join(
    options: list[str], namespaces: list[str], dockerd: Dockerd, watching: Watching, web: str
) -> None:
    target = str(dockerd.init_pid(web))
    command = ["nsenter", "-t", target, *options, "/bin/true"]
    events = watching.visit(lambda: subprocess.run(command, check=True), web)
    entry = events[0]
    assert (entry["means"], entry["verdict"], entry["namespaces"]) == ("ns-join", "ns-only", namespaces)
    assert entry["entered_by"]["comm"] == "nsenter"
    assert entry["exec_id"] is None
    assert {step["side"] for step in entry["ancestry"]} == {"host"}


def test_secrets_in_argv_never_leave_the_host(dockerd: Dockerd, watching: Watching, web: str) -> None:
    events = watching.visit(lambda: dockerd.exec(web, "echo", "--password", "hunter2", "TOKEN=abc"), web)
    assert events[0]["process"]["argv_redacted"]
    assert "hunter2" not in str(events)
    assert "abc" not in events[0]["process"]["argv"][-1]


def test_a_failed_exec_is_an_attempt(dockerd: Dockerd, watching: Watching, web: str) -> None:
    watching.events.clear()
    subprocess.run(dockerd.command("exec", web, "/bin/nosuch"), check=False, capture_output=True)
    watching.until(lambda: bool(watching.of("attempt", web)))
    watching.pump(0.5)
    (attempt,) = watching.of("attempt", web)
    assert attempt["means"] == "docker-exec"
    assert not watching.of("entry", web)


def test_starts_are_starts_and_no_entries(dockerd: Dockerd, watching: Watching, web: str) -> None:
    watching.events.clear()
    script = ["sh", "-c", "id; (true &); exec true"]
    # Other daemons of this machine start containers too: only ours are looked at.
    ours = {dockerd.docker("run", "-d", "busybox:demo", *script).strip() for _ in range(5)}

    def seen(*kinds: str) -> list[str]:
        return [
            event["container"]["id"]
            for event in watching.events
            if event["kind"] in kinds and event["container"]["id"] in ours
        ]

    watching.until(lambda: len(seen("stop")) == len(ours))
    assert sorted(seen("start")) == sorted(seen("stop")) == sorted(ours)
    assert not seen("entry", "attempt")
    dockerd.docker("rm", *ours)


def test_the_stop_of_a_container_that_ran_before_the_sensor_is_told(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    older = dockerd.run("busybox:demo", "sleep", "3600")
    later = Watching(watching.probe.loader, [str(dockerd.socket)])
    try:
        dockerd.docker("kill", older)
        later.until(lambda: bool(later.of("stop", older)))
        assert later.of("stop", older)[0]["signal"] == 9
        assert not later.of("start", older)
    finally:
        later.close()
        dockerd.docker("rm", "-f", older)
