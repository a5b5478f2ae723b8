# SPDX-License-Identifier: Apache-2.0
"""What a session does to get out of sight, or out of its container, on the real kernel."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from tests.runtimes.ways.way import PROGRAMS
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

PYTHON = sys.executable
TRUE = ["/bin/busybox", "true"]
WAITS = "while [ ! -e /go ]; do sleep 0.1; done; rm /go; busybox true"


@pytest.fixture(scope="module")
def started(dockerd: Dockerd, watching: Watching) -> Iterator[Callable[[], str]]:
    made: list[str] = []

    def start() -> str:
        made.append(dockerd.run(IMAGE, "sleep", "3600"))
        watching.until(lambda: bool(watching.of("start", made[-1])))
        return made[-1]

    yield start
    dockerd.docker("rm", "-f", *made)


@pytest.fixture(scope="module")
def web(started: Callable[[], str]) -> str:
    return started()


def commands(events: list[Any]) -> list[list[str]]:
    return [event["process"]["argv"] for event in events if event["kind"] == "command"]


def program(name: str, *arguments: str) -> list[str]:
    return [PYTHON, str(PROGRAMS / f"{name}.py"), *arguments]


def test_several_commands_after_one_chroot_are_one_session(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    pid = str(dockerd.init_pid(web))
    events = watching.visit(lambda: subprocess.run(program("chroots", pid), check=True), web)
    assert (events[0]["means"], events[0]["process"]["argv"]) == ("proc-root", TRUE)
    assert commands(events) == [["/bin/busybox", "false"]]
    assert [event["code"] for event in events if event["kind"] == "exit"] == [0, 1]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86 has this system call beside its own")
def test_a_join_by_the_32_bit_call_is_an_entry_at_the_program_after_it(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    pid = str(dockerd.init_pid(web))
    entry = watching.visit(lambda: subprocess.run(program("wide", pid, *TRUE), check=True), web)[0]
    assert (entry["means"], entry["process"]["argv"]) == ("ns-join", TRUE)
    # Where the call's own function is hooked it is seen to begin.
    assert entry["witnessed"] is ("fentry" in watching.probe.hooks["setns"].split(" (")[0])


def test_a_working_directory_of_the_host_that_a_runtime_left_open_is_an_escape(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    """A runtime puts the process into the cgroup: so what it has of the host it should not have."""
    move = "for c in $(find /sys/fs/cgroup -type d -name '*%s*'); do echo $$ >$c/cgroup.procs; done 2>&-; exec \"$@\""
    command = ["sh", "-c", move % web, "sh", *program("leak", str(dockerd.init_pid(web)), *TRUE)]
    watching.during(
        lambda: subprocess.run(command, check=True),
        lambda: bool(watching.of("escape", web)),
    )
    (escape,) = watching.of("escape", web)
    assert (escape["means"], escape["namespaces"]) == ("proc-root", [])
    assert escape["process"]["argv"] == TRUE


@pytest.mark.parametrize("kind", ["net", "ipc", "uts"])
def test_a_leaked_namespace_of_the_host_that_a_visitor_joins_is_an_escape(
    kind: str, dockerd: Dockerd, watching: Watching, web: str
) -> None:
    step = f"true; nsenter --{kind}=/proc/self/fd/9 /bin/busybox true"
    enter = ["nsenter", "-t", str(dockerd.init_pid(web)), "-m", "-p", "-n", "-i", "-u", "/bin/sh", "-c", step]
    command = ["sh", "-c", f'exec 9</proc/self/ns/{kind}; exec "$@"', "sh", *enter]
    events = watching.visit(lambda: subprocess.run(command, check=True), web)
    escapes = [event for event in events if event["kind"] == "escape"]
    assert [(event["means"], event["namespaces"]) for event in escapes] == [("ns-join", [kind])]
    assert events[0]["kind"] == "entry"


AWAY_AND_BACK = """
import ctypes, os, subprocess, sys
setns = ctypes.CDLL(None).setns
own, host = (os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY) for pid in ("self", sys.argv[1]))
assert setns(host, 0) == 0 and setns(own, 0) == 0
subprocess.run(["true"], check=True)
"""


def test_a_session_whose_process_comes_back_from_another_namespace_goes_on(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    enter = ["nsenter", "-t", str(dockerd.init_pid(web)), "-u", PYTHON, "-c", AWAY_AND_BACK, str(os.getpid())]
    events = watching.visit(lambda: subprocess.run(enter, check=True), web)
    assert commands(events) == [["true"]]


@pytest.mark.parametrize("where", ["the host's", "another container's"])
def test_a_session_that_is_moved_to_another_cgroup_stays_a_session(
    where: str, dockerd: Dockerd, watching: Watching, web: str, started: Callable[[], str]
) -> None:
    other = started()
    watching.events.clear()
    dockerd.docker("exec", "-d", web, "sh", "-c", WAITS)
    watching.until(lambda: bool(watching.of("entry", web)))
    (entry,) = watching.of("entry", web)
    groups = [path for path in Path("/sys/fs/cgroup").rglob(f"*{other}*") if path.is_dir()]
    for folder in groups:
        to = folder if where == "another container's" else folder.parent.parent
        try:
            (to / "cgroup.procs").write_text(str(entry["process"]["pid"]), encoding="ascii")
        except OSError:  # a controller that takes nobody before it is set up
            continue
    Path(f"/proc/{dockerd.init_pid(web)}/root/go").touch()
    watching.until(
        lambda: any(
            event["kind"] == "session_end" for event in watching.events if event.get("session") == entry["id"]
        )
    )
    mine = [event for event in watching.events if event.get("session") == entry["id"]]
    assert ["busybox", "true"] in commands(mine)
    assert not watching.of("entry", other)
    assert not watching.of("attempt", other)


POWERS = (
    "--pid=host",
    "--cap-add=SYS_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--cap-add=SYS_CHROOT",
    "--network=none",
)
UNCONFINED = ("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined")


@pytest.mark.parametrize("kinds", ["-m", "-m -n -u -i", "-n"])
def test_a_containers_own_process_that_joins_the_hosts_namespaces_has_escaped(
    kinds: str, dockerd: Dockerd, watching: Watching
) -> None:
    """By another process of the host: of pid 1 nobody may read them on some machines."""
    script = f"sleep 2; busybox nsenter -t {os.getpid()} {kinds} /bin/true; exec sleep 3600"
    made = dockerd.run(IMAGE, "sh", "-c", script, options=[*POWERS, *UNCONFINED])
    try:
        watching.until(lambda: bool(watching.of("escape", made)), 60)
        (escape,) = watching.of("escape", made)
        assert (escape["means"], escape["session"]) == ("ns-join", escape["id"])
        assert {"-m": {"mnt"}, "-n": {"net"}}.get(kinds, {"mnt", "net", "uts", "ipc"}) == set(
            escape["namespaces"]
        )
        assert not watching.of("entry", made)
    finally:
        dockerd.docker("rm", "-f", made)


def test_who_makes_himself_a_user_namespace_may_not_join_the_hosts_and_nothing_is_told(
    dockerd: Dockerd, watching: Watching
) -> None:
    """There he has every power over what is his, and none over what is the host's: setns refuses."""
    tries = f"unshare -U -r busybox nsenter -t {os.getpid()} -m -n /bin/true"
    script = f"sleep 2; {tries} && touch /out; busybox true; touch /tried; exec sleep 3600"
    made = dockerd.run(IMAGE, "sh", "-c", script, options=[*POWERS, *UNCONFINED])
    try:
        pid = dockerd.init_pid(made)
        watching.until(Path(f"/proc/{pid}/root/tried").exists, 60)
        watching.pump(1)
        assert not Path(f"/proc/{pid}/root/out").exists()
        assert not watching.of("escape", made) + watching.of("entry", made) + watching.of("attempt", made)
    finally:
        dockerd.docker("rm", "-f", made)
