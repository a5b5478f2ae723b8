# SPDX-License-Identifier: Apache-2.0
"""The tests' own Docker daemon harms no other one, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sensor.enrich import procfs
from vagrant.local.dockerd import Dockerd, DockerFailedError


def left_of(daemon):
    """Mounts below its folder, and processes that name it."""
    folder = str(daemon.folder)
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line]
    return [*mounts, *daemon._leftovers()]


def test_it_runs_containers_and_leaves_nothing_running_or_mounted():
    with Dockerd() as daemon:
        daemon.image("busybox:test")
        web = daemon.run("busybox:test", "sleep", "600", name="web")
        assert daemon.exec(web, "id", "-u") == "0"
        assert Path(f"/proc/{daemon.pid}/ns/net").stat().st_ino != Path("/proc/self/ns/net").stat().st_ino
        init = daemon.init_pid("web")
    assert left_of(daemon) == []
    assert procfs.exe(init) is None
    assert not daemon.folder.exists()
    daemon.stop()


def test_it_cleans_up_after_a_daemon_that_was_killed():
    with Dockerd() as daemon:
        daemon.image("busybox:test")
        init = daemon.init_pid(daemon.run("busybox:test", "sleep", "600"))
        os.kill(daemon.pid, signal.SIGKILL)
    assert left_of(daemon) == []
    assert procfs.exe(init) is None


def test_two_of_them_run_side_by_side(dockerd):
    with Dockerd() as other:
        other.image("busybox:test")
        other.run("busybox:test", "sleep", "600")
    assert dockerd.docker("network", "inspect", "bridge", "--format", "{{.Name}}") == "bridge"
    assert "docker0" in dockerd.docker("network", "inspect", "bridge")


def test_a_failure_says_what_docker_said(dockerd):
    with pytest.raises(DockerFailedError, match=r"No such image|Unable to find image"):
        dockerd.run("no-such-image:none", options=["--pull", "never"])
