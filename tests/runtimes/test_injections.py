# SPDX-License-Identifier: Apache-2.0
"""Who reaches into a real container's process, without entering it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.enrich import procfs
from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from tests.runtimes.ways.way import PROGRAMS
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

INJECT = [sys.executable, str(PROGRAMS / "inject.py")]
WAITS = "while [ ! -e /go ]; do sleep 0.1; done; busybox true; exec sleep 3600"


@pytest.fixture
def waiting(dockerd: Dockerd, watching: Watching) -> Iterator[str]:
    """A container whose first process executes something once it may."""
    container = dockerd.run(IMAGE, "sh", "-c", WAITS)
    watching.until(lambda: bool(watching.of("start", container)))
    watching.events.clear()
    yield container
    dockerd.docker("rm", "-f", container)


REACHES = {"attach": "trace", "seize": "trace", "write": "write", "mem": "write"}


@pytest.mark.parametrize("how", REACHES)
def test_who_reaches_into_a_containers_process_has_entered_it_and_what_it_does_is_followed(
    how: str, dockerd: Dockerd, watching: Watching, waiting: str
) -> None:
    init = dockerd.init_pid(waiting)
    for _ in range(2):  # told once
        subprocess.run([*INJECT, how, str(init)], check=True)
    watching.until(lambda: bool(watching.of("entry", waiting)))
    (entry,) = watching.of("entry", waiting)
    assert (entry["means"], entry["verdict"], entry["namespaces"]) == ("inject", "both", [])
    assert entry["reach"] == REACHES[how]
    assert (entry["process"]["pid"], entry["process"]["argv"][:2]) == (init, ["sh", "-c"])
    assert entry["entered_by"]["argv"][-2:] == [how, str(init)]
    assert (entry["entered_by"]["comm"], entry["entered_by"]["side"]) == ("python", "host")
    assert entry["ancestry"][-1]["pid"] == 1
    assert entry["container"]["id"] == waiting
    Path(f"/proc/{init}/root/go").touch()
    watching.until(
        lambda: any(
            event["kind"] == "command" and event["process"]["argv"] == ["busybox", "true"]
            for event in watching.events
            if event.get("session") == entry["id"]
        )
    )
    dockerd.docker("kill", waiting)
    watching.until(
        lambda: any(
            event["kind"] == "session_end" and event["session"] == entry["id"] for event in watching.events
        )
    )
    assert len(watching.of("entry", waiting)) == 1


def test_who_takes_an_open_file_of_a_containers_process_is_told_and_it_is_not_followed(
    dockerd: Dockerd, watching: Watching, waiting: str
) -> None:
    init = dockerd.init_pid(waiting)
    subprocess.run([*INJECT, "take", str(init)], check=True)
    watching.until(lambda: bool(watching.of("entry", waiting)))
    (entry,) = watching.of("entry", waiting)
    assert (entry["means"], entry["reach"], entry["process"]["pid"]) == ("inject", "take", init)
    assert entry["entered_by"]["argv"][-2:] == ["take", str(init)]
    Path(f"/proc/{init}/root/go").touch()
    watching.until(lambda: procfs.cmdline(init) == (["sleep", "3600"], False))
    # Whatever the kernel told of what it executed stands before this.
    entries = watching.visit(lambda: dockerd.exec(waiting, "true"), waiting)
    assert entries[0]["means"] == "docker-exec"
    assert not [event for event in watching.events if event.get("session") == entry["id"]]


def test_who_only_looks_at_a_containers_process_has_not_entered(
    dockerd: Dockerd, watching: Watching, waiting: str
) -> None:
    init = dockerd.init_pid(waiting)
    watching.events.clear()
    subprocess.run([*INJECT, "read", str(init)], check=True)
    subprocess.run([*INJECT, "mem-read", str(init)], check=True)
    subprocess.run(["ps", "-ef"], check=True, stdout=subprocess.DEVNULL)
    for name in ("environ", "maps", "status", "exe", "stack"):
        subprocess.run(["cat", f"/proc/{init}/{name}"], check=False, stdout=subprocess.DEVNULL)
    dockerd.docker("top", waiting)
    watching.visit(lambda: dockerd.exec(waiting, "true"), waiting)
    assert [entry["means"] for entry in watching.of("entry", waiting)] == ["docker-exec"]
    assert not watching.of("attempt", waiting)


def test_who_traces_his_own_way_in_has_entered_that_way_alone(
    dockerd: Dockerd, watching: Watching, waiting: str
) -> None:
    """As strace of nsenter does: the traced process crosses while it is traced."""
    init = dockerd.init_pid(waiting)
    traced = subprocess.Popen(
        ["sh", "-c", f"read go; exec nsenter -t {init} -m -u /bin/busybox true"], stdin=subprocess.PIPE
    )
    assert traced.stdin
    subprocess.run([*INJECT, "seize", str(traced.pid)], check=True)

    def go() -> None:
        assert traced.stdin
        traced.stdin.write(b"\n")
        traced.stdin.close()
        assert traced.wait() == 0

    watching.visit(go, waiting)
    assert [entry["means"] for entry in watching.of("entry", waiting)] == ["ns-join"]
