# SPDX-License-Identifier: Apache-2.0
"""Whatever a visitor's processes do, they stay in the session; what his terminal shows is never recorded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

POWERS = ("--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined")
LAST = ["busybox", "true"]


@pytest.fixture(scope="module")
def web(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    container = dockerd.run(IMAGE, "sleep", "3600", options=POWERS)
    watching.until(lambda: bool(watching.of("start", container)))
    yield container
    dockerd.docker("rm", "-f", container)


INSIDE = {
    "setsid": "setsid busybox true",
    "double fork": "(busybox true &) ; true",
    "a job after the shell has gone": "(sleep 0.5; exec busybox true) >/dev/null 2>&1 &",
    "unshare -m": "unshare -m busybox true",
    "unshare -p": "unshare -p -f busybox true",
    "unshare -U": "unshare -U busybox true",
    "unshare -n": "unshare -n busybox true",
    "unshare -u": "unshare -u busybox true",
    "unshare -i": "unshare -i busybox true",
    "chroot": "chroot / busybox true",
}


@pytest.mark.parametrize("how", INSIDE)
def test_a_descendant_stays_in_the_session(how: str, dockerd: Dockerd, watching: Watching, web: str) -> None:
    events = watching.visit(lambda: dockerd.exec(web, "sh", "-c", INSIDE[how] + "\nexit 0"), web)
    commands = [event["process"]["argv"] for event in events if event["kind"] == "command"]
    assert LAST in commands
    (pid,) = (
        event["process"]["pid"]
        for event in events
        if event["kind"] == "command" and event["process"]["argv"] == LAST
    )
    assert [event["code"] for event in events if event["kind"] == "exit" and event["pid"] == pid] == [0]
    assert events[-1]["kind"] == "session_end"


MEMORY = """
import ctypes, os, subprocess, sys
setns = ctypes.CDLL(None).setns
program = open("/bin/busybox", "rb").read()
setns(os.open(f"/proc/{sys.argv[1]}/ns/uts", os.O_RDONLY), 0)
setns(os.open(f"/proc/{sys.argv[1]}/ns/net", os.O_RDONLY), 0)
handle = os.memfd_create("hidden", 0)
os.write(handle, program)
if os.fork() == 0:
    os.execve(handle, ["busybox", "true"], {})
os.wait()
"""


def test_a_program_in_memory_is_a_command_like_any(dockerd: Dockerd, watching: Watching, web: str) -> None:
    command = [sys.executable, "-c", MEMORY, str(dockerd.init_pid(web))]
    (entry, *_) = watching.visit(lambda: subprocess.run(command, check=True), web)
    assert entry["process"]["argv"] == LAST
    assert entry["process"]["exe"] is None or "memfd:hidden" in entry["process"]["exe"]


def test_what_is_typed_and_shown_on_a_terminal_is_not_recorded(
    dockerd: Dockerd, watching: Watching, web: str
) -> None:
    client = " ".join(dockerd.command("exec", "-it", web, "sh"))
    typed = "read -r WORD\ntyped-marmot\necho shown-$((6*7))-marmot\nbusybox true\nexit 3\n"
    script = ["script", "-qec", client, "/dev/null"]
    shown: list[str] = []

    def type_it() -> None:
        done = subprocess.run(script, input=typed, capture_output=True, text=True, check=False)
        shown.append(done.stdout)

    events = watching.visit(type_it, web)
    assert "shown-42-marmot" in shown[0]
    assert LAST in [event["process"]["argv"] for event in events if event["kind"] == "command"]
    assert events[-1]["code"] == 3
    assert "marmot" not in str(watching.events)
