# SPDX-License-Identifier: Apache-2.0
"""Each way into a real docker container is one entry, of the right means; a start and its kin are none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes


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
    assert entry["entered_by"]["argv"] == command  # by the kernel: it may be gone before anybody reads /proc
    assert entry["entered_by"]["exe"] == "/usr/bin/nsenter"
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


THREADS = """
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void *idle(void *unused) { for (;;) pause(); }
static void end(int number) { exit(3); }
int main(void) {
    pthread_t thread;
    signal(SIGTERM, end);
    for (int i = 0; i < 4; i++) pthread_create(&thread, 0, idle, 0);
    idle(0);
}
"""


def test_a_first_process_of_many_threads_stops_and_is_entered_after_each_restart(
    dockerd: Dockerd, watching: Watching, tmp_path: Path
) -> None:
    """Its last thread to go is seldom the first, and the next start gets the same mount namespace's number."""
    (tmp_path / "threads.c").write_text(THREADS)
    program = tmp_path / "threads"
    subprocess.run(["clang", "-static", "-pthread", "-o", program, tmp_path / "threads.c"], check=True)
    container = dockerd.run(IMAGE, "/threads", options=["-v", f"{program}:/threads:ro"])
    watching.until(lambda: bool(watching.of("start", container)))
    try:
        for _ in range(3):
            watching.events.clear()
            dockerd.docker("restart", container)
            watching.until(lambda: bool(watching.of("start", container)))
            assert [event["code"] for event in watching.of("stop", container)] == [3]
            assert watching.visit(lambda: dockerd.exec(container, "id"), container)[0]["verdict"] == "both"
    finally:
        dockerd.docker("rm", "-f", container)


IN_AND_BACK = """
import ctypes, os, subprocess, sys
setns = ctypes.CDLL(None, use_errno=True).setns
kinds = ("uts", "net", "mnt")
home = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in kinds]
theirs = [os.open(f"/proc/{sys.argv[1]}/ns/{kind}", os.O_RDONLY) for kind in kinds]
for handle in theirs:
    assert setns(handle, 0) == 0
inside = subprocess.Popen(["/bin/sh", "-c", "sleep 0.3; /bin/id; true"], stdout=subprocess.DEVNULL)
for handle in home:
    assert setns(handle, 0) == 0
inside.wait()
"""


def test_a_program_that_leaves_a_child_inside_and_comes_back_has_made_one_session(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    command = [sys.executable, "-c", IN_AND_BACK, str(dockerd.init_pid(web))]
    events = watching.visit(lambda: subprocess.run(command, check=True), web)
    assert [event["kind"] for event in events] == [
        "entry",
        "command",
        "exit",
        "command",
        "exit",
        "exit",
        "session_end",
    ]


POWERS = ("--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined", "--pid=host")
NEW_NETWORK = "unshare -n sleep 1 & sleep 0.2; nsenter -t $! -n sh -c 'date; whoami'; id"


def test_nobody_leaves_a_session_by_a_namespace_of_his_own(dockerd: Dockerd, watching: Watching) -> None:
    container = dockerd.run(IMAGE, "sleep", "600", options=POWERS)
    watching.until(lambda: bool(watching.of("start", container)))
    try:
        watching.events.clear()
        dockerd.exec(container, "sh", "-c", NEW_NETWORK)
        watching.until(lambda: ended(watching, container))
        events = session_of(watching, container)
        told = [event["process"]["argv"][0] for event in events if event["kind"] == "command"]
        # busybox runs `date` and `whoami` without an exec of its own.
        assert told.count("nsenter") == 1
        assert told[-1] == "sh"
        assert events[-1]["kind"] == "session_end"
    finally:
        dockerd.docker("rm", "-f", container)


def test_one_container_entered_out_of_another_is_an_entry_of_its_own(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    container = dockerd.run(IMAGE, "sleep", "600", options=POWERS)
    watching.until(lambda: bool(watching.of("start", container)))
    try:
        watching.events.clear()
        step = f"true; nsenter -t {dockerd.init_pid(web)} -m -n sh -c 'id; true'; true"
        dockerd.exec(container, "sh", "-c", step)
        watching.until(lambda: sum(event["kind"] == "session_end" for event in watching.events) == 2)
        (first,), (second,) = watching.of("entry", container), watching.of("entry", web)
        assert (first["means"], second["means"]) == ("docker-exec", "ns-join")
        assert second["entered_by"]["comm"] == "nsenter"
        assert second["entered_by"]["side"] == "container"
    finally:
        dockerd.docker("rm", "-f", container)


def test_a_container_in_the_network_of_another_starts_and_stops_and_enters_nothing(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    """Its first process is marked, and executes again before the kernel is told that this was a start."""
    watching.events.clear()
    script = ["sh", "-c", "id; (id; true); exec id"]
    network = f"--network=container:{web}"
    made = {dockerd.run(IMAGE, *script, options=["--rm", network]) for _ in range(3)}

    def ids(kind: str) -> set[str]:
        return {event["container"]["id"] for event in watching.events if event["kind"] == kind}

    # Other daemons of this machine are visited too: only ours are looked at.
    ours = {web, *made}
    watching.until(lambda: made <= ids("start") & ids("stop"))
    assert not ours & (ids("entry") | ids("attempt"))


def test_a_renamed_nsenter_is_an_entry_also_by_a_plugins_name(
    dockerd: Dockerd, watching: Watching, web: str, tmp_path: Path
) -> None:
    renamed = tmp_path / "bridge"
    renamed.write_bytes(Path("/usr/bin/nsenter").read_bytes())
    renamed.chmod(0o755)
    command = [str(renamed), "-t", str(dockerd.init_pid(web)), "-n", "/bin/true"]
    entry = watching.visit(lambda: subprocess.run(command, check=True), web)[0]
    assert (entry["means"], entry["namespaces"]) == ("ns-join", ["net"])


def test_who_calls_his_shell_dockerd_does_not_hide_a_join_of_the_network(
    dockerd: Dockerd, watching: Watching, web: str, tmp_path: Path
) -> None:
    shell = tmp_path / "dockerd"
    shell.write_bytes(Path("/bin/dash").read_bytes())
    shell.chmod(0o755)
    command = [str(shell), "-c", f"nsenter -t {dockerd.init_pid(web)} -n /bin/true; true"]
    entry = watching.visit(lambda: subprocess.run(command, check=True), web)[0]
    assert (entry["means"], entry["namespaces"]) == ("ns-join", ["net"])
    assert entry["ancestry"][0]["comm"] == "dockerd"


def test_a_path_too_deep_to_be_read_whole_is_unknown_and_not_that_of_another_file(
    dockerd: Dockerd, watching: Watching, web: str, tmp_path: Path
) -> None:
    folder = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz", "bin")
    folder.mkdir(parents=True)
    program = folder / "true"
    program.write_bytes(Path("/bin/busybox").read_bytes())
    program.chmod(0o755)
    command = ["nsenter", "-t", str(dockerd.init_pid(web)), "-n", str(program)]
    entry = watching.visit(lambda: subprocess.run(command, check=True, cwd="/"), web)[0]
    assert entry["process"]["exe"] is None
    assert entry["missing"]["process.exe"] == "unknown"
    assert entry["process"]["filename"] == os.fspath(program)[:255]


def test_a_room_that_a_session_makes_in_a_container_is_entered_like_the_container(
    dockerd: Dockerd, watching: Watching
) -> None:
    container = dockerd.run(IMAGE, "sleep", "600", options=POWERS)
    watching.until(lambda: bool(watching.of("start", container)))
    try:
        watching.events.clear()
        dockerd.exec(container, "unshare", "-m", "sleep", "333", options=["-d"])

        def rooms() -> list[int]:
            told = [event["process"] for event in session_of(watching, container) if "process" in event]
            return [process["pid"] for process in told if process["argv"] == ["sleep", "333"]]

        watching.until(lambda: bool(rooms()))
        command = ["nsenter", "-t", str(rooms()[0]), "-m", "/bin/true"]
        watching.events.clear()
        subprocess.run(command, check=True)
        watching.until(lambda: bool(watching.of("entry", container)))
        assert watching.of("entry", container)[0]["means"] == "ns-join"
    finally:
        dockerd.docker("rm", "-f", container)


@pytest.mark.parametrize("name", ["join", "sh"])
def test_who_entered_is_not_told_by_the_command_that_he_executed_in_place(
    name: str, dockerd: Dockerd, watching: Watching, web: str, tmp_path: Path
) -> None:
    """What /proc shows of a quick nsenter may be its command already: then it is unknown."""
    program = tmp_path / name
    program.write_bytes(Path("/usr/bin/nsenter").read_bytes())
    program.chmod(0o755)
    command = [str(program), "-t", str(dockerd.init_pid(web)), "-n", "/bin/sh", "-c", "true; sleep 0.2"]
    for _ in range(5):
        entry = watching.visit(lambda: subprocess.run(command, check=True), web)[0]
        assert entry["entered_by"]["comm"] == name
        assert entry["entered_by"]["argv"] in (command, None)
        assert entry["entered_by"]["exe"] in (str(program), None)


def session_of(watching: Watching, container: str) -> list[Any]:
    """The events of the first session in a container."""
    sessions = [entry["session"] for entry in watching.of("entry", container)]
    return [event for event in watching.events if sessions and event.get("session") == sessions[0]]


def ended(watching: Watching, container: str) -> bool:
    return any(event["kind"] == "session_end" for event in session_of(watching, container))
