# SPDX-License-Identifier: Apache-2.0
"""Ways into a real container without a join, and ways out of one to the host, on the real kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

HOST = os.getpid()
"""A process of the host: the namespaces of pid 1 may be closed even to root."""
FILES = f"/proc/{HOST}/root"
POWERS = (
    "--cap-add=SYS_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--pid=host",
)


@pytest.fixture(scope="module")
def web(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    container = dockerd.run(IMAGE, "sleep", "3600")
    watching.until(lambda: bool(watching.of("start", container)))
    yield container
    dockerd.docker("rm", "-f", container)


@pytest.fixture
def strong(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    """A container that may do much, and sees the host's processes."""
    container = dockerd.run(IMAGE, "sleep", "600", options=POWERS)
    watching.until(lambda: bool(watching.of("start", container)))
    watching.events.clear()
    yield container
    dockerd.docker("rm", "-f", container)


def told(events: list[Any], kind: str) -> list[list[str]]:
    return [event["process"]["argv"] for event in events if event["kind"] == kind]


def test_chroot_through_proc_is_an_entry_whose_commands_are_followed(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    root = f"/proc/{dockerd.init_pid(web)}/root"
    command = ["chroot", root, "/bin/sh", "-c", "/bin/busybox true; exec /bin/busybox id"]
    events = watching.visit(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), web)
    entry = events[0]
    assert (entry["means"], entry["namespaces"], entry["container"]["id"]) == ("proc-root", [], web)
    assert entry["witnessed"]
    assert told(events, "command") == [["/bin/busybox", "true"], ["/bin/busybox", "id"]]
    assert (events[-1]["kind"], events[-1]["code"]) == ("session_end", 0)


OPENED = """
import os, sys
handle = os.open(f"/proc/{sys.argv[1]}/root/bin/busybox", os.O_RDONLY)
os.execve(handle, ["busybox", "true"], {})
"""


@pytest.mark.parametrize("how", ["by its path", "by a descriptor", "in a mount namespace of its own"])
def test_a_containers_file_executed_on_the_host_is_an_entry(
    how: str, dockerd: Dockerd, watching: Watching, web: str
) -> None:
    pid = str(dockerd.init_pid(web))
    command = {
        "by its path": [f"/proc/{pid}/root/bin/busybox", "true"],
        "by a descriptor": [sys.executable, "-c", OPENED, pid],
        "in a mount namespace of its own": ["unshare", "-m", "chroot", f"/proc/{pid}/root", "/bin/true"],
    }[how]
    # A copy of the mounts belongs to whoever made it: there only the path through /proc is the container's.
    entry = watching.visit(lambda: subprocess.run(command, check=True), web)[0]
    assert (entry["means"], entry["container"]["id"]) == ("proc-root", web)


def test_a_shell_of_the_host_that_only_looks_at_a_containers_files_enters_nothing(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    watching.events.clear()
    look = f"cd /proc/{dockerd.init_pid(web)}/root/etc && ls && cat hostname"
    subprocess.run(["sh", "-c", look], check=True, stdout=subprocess.DEVNULL)
    dockerd.docker("cp", f"{web}:/etc/hostname", "-")
    watching.visit(lambda: dockerd.exec(web, "true"), web)
    assert len(watching.of("entry", web)) == 1


def test_an_escape_out_of_a_session_is_told_with_it_and_followed_in_it(
    dockerd: Dockerd, watching: Watching, strong: str
) -> None:
    step = f"true; nsenter -t {HOST} -m /bin/sh -c '/bin/true; exit 3'; exit 4"
    events = watching.visit(
        lambda: subprocess.run(dockerd.command("exec", strong, "sh", "-c", step), check=False), strong
    )
    (escape,) = (event for event in events if event["kind"] == "escape")
    assert (escape["means"], escape["namespaces"], escape["container"]["id"]) == ("ns-join", ["mnt"], strong)
    assert escape["entered_by"]["side"] == "container"
    assert escape["process"]["argv"][:2] == ["/bin/sh", "-c"]
    assert ["/bin/true"] in told(events, "command")
    assert events[-1]["code"] == 4


@pytest.mark.parametrize(("option", "kind"), [("-m", "mnt"), ("-n", "net"), ("-u", "uts"), ("-i", "ipc")])
def test_an_escape_of_a_containers_own_process_opens_a_session(
    option: str, kind: str, dockerd: Dockerd, watching: Watching
) -> None:
    watching.events.clear()
    step = f"nsenter -t {HOST} {option} /bin/sh -c '/bin/true; exit 7'"
    container = dockerd.run(IMAGE, "sh", "-c", f"{step}; sleep 600", options=POWERS)
    try:
        watching.until(lambda: bool(watching.of("escape", container)))
        (escape,) = watching.of("escape", container)
        assert (escape["namespaces"], escape["session"]) == ([kind], escape["id"])
        watching.until(
            lambda: any(e["kind"] == "session_end" and e["session"] == escape["id"] for e in watching.events)
        )
        mine = [event for event in watching.events if event.get("session") == escape["session"]]
        assert mine[-1]["code"] == 7
        assert not watching.of("entry", container)
    finally:
        dockerd.docker("rm", "-f", container)


def test_a_file_of_the_host_executed_in_a_container_is_an_escape(
    dockerd: Dockerd, watching: Watching, strong: str
) -> None:
    """Through /proc/1/root: what a descriptor that leaked in (CVE-2019-5736, CVE-2024-21626) comes to."""
    events = watching.visit(
        lambda: dockerd.exec(strong, "sh", "-c", f"cd {FILES}/etc; {FILES}/bin/busybox true; true"),
        strong,
    )
    escapes = [event for event in events if event["kind"] == "escape"]
    assert [(e["means"], e["namespaces"]) for e in escapes] == [("proc-root", [])]


def test_a_containers_process_with_its_working_directory_on_the_host_has_escaped(
    dockerd: Dockerd, watching: Watching
) -> None:
    watching.events.clear()
    container = dockerd.run(
        IMAGE, "sh", "-c", f"cd {FILES}/etc; busybox true; cd /; exec sleep 600", options=POWERS
    )
    try:
        watching.until(lambda: bool(watching.of("escape", container)))
        assert watching.of("escape", container)[0]["process"]["argv"] == ["busybox", "true"]
    finally:
        dockerd.docker("rm", "-f", container)


def test_a_visit_that_began_before_the_sensor_is_found_inside_and_followed(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    command = ["nsenter", "-t", str(dockerd.init_pid(web)), "-m", "-p", "/bin/sh"]
    before = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert before.stdin
    assert before.stdout
    before.stdin.write("echo inside\n")
    before.stdin.flush()
    assert before.stdout.readline() == "inside\n"
    later = Watching(watching.probe.loader, [str(dockerd.socket)])
    try:
        (entry,) = later.of("entry", web)
        assert (entry["witnessed"], entry["means"], entry["namespaces"]) == (False, "ns-join", ["mnt", "pid"])
        before.stdin.write("/bin/busybox true\nexit 5\n")
        before.stdin.flush()
        later.until(lambda: any(event["kind"] == "session_end" for event in later.events))
        mine = [event for event in later.events if event.get("session") == entry["session"]]
        assert told(mine, "command") == [["/bin/busybox", "true"]]
        assert mine[-1]["code"] == 5
    finally:
        later.close()
        before.stdin.close()
        before.wait()
        before.stdout.close()
