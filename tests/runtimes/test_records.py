# SPDX-License-Identifier: Apache-2.0
"""What real daemons say reaches the sensor: of execs, over restarts, each saying once."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections import Counter

import pytest

from sensor.records.sources import Sources
from tests.runtimes.containerd import Containerd
from tests.runtimes.hearing import PATIENCE_S, hearing
from vagrant.local.dockerd import Dockerd


@pytest.fixture(scope="module")
def containerd():
    with Containerd() as daemon:
        yield daemon


def test_docker_says_who_was_executed_with_id_and_command(dockerd, container):
    with hearing(dockerd.socket) as heard:
        heard.until(action="source_up")
        web = container()
        dockerd.exec(web, "echo", "hi")
        created = heard.until(action="exec_create", container=web)
        assert (created.command, created.source, created.owner) == ("echo hi", "docker", 0)
        ended = heard.until(action="exec_die", exec_id=created.exec_id)
        assert ended.code == 0
        assert heard.until(action="start", container=web)


def test_what_changes_a_container_and_what_is_copied_is_said(dockerd, container, tmp_path):
    with hearing(dockerd.socket) as heard:
        heard.until(action="source_up")
        web = container()
        dockerd.docker("update", "--restart", "no", web)
        dockerd.docker("cp", f"{web}:/bin/busybox", str(tmp_path / "out"))
        dockerd.docker("cp", str(tmp_path / "out"), f"{web}:/tmp/in")
        dockerd.docker("rename", web, f"{web[:12]}-renamed")
        for action in ("update", "copy_out", "copy_in", "rename"):
            heard.until(action=action, container=web)


def test_what_was_said_while_no_sensor_ran_is_read_afterwards_and_nothing_twice(dockerd, container):
    with hearing(dockerd.socket) as heard:
        heard.until(action="source_up")
        web = container()
        last = heard.until(action="start", container=web)
    dockerd.exec(web, "echo", "meanwhile")
    with hearing(dockerd.socket, since=last.time) as heard:
        assert heard.until(action="exec_start", container=web).command == "echo meanwhile"
        again = heard.of(action="start", container=web)
        assert {each.key for each in again} <= {last.key}


def test_a_daemon_that_is_killed_is_told_and_read_again_when_it_is_back():
    with Dockerd() as daemon, hearing(daemon.socket) as heard:
        daemon.image("busybox:test")
        heard.until(action="source_up")
        os.kill(daemon.pid, signal.SIGKILL)
        daemon._process.wait(30)  # until then its pid file counts
        # its containerd ended with it, and nobody may collect that one's pid here
        (daemon.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        heard.until(action="source_away")
        assert heard.sources.troubles()
        daemon.start()
        web = daemon.run("busybox:test", "sleep", "600")
        daemon.exec(web, "echo", "back")
        assert heard.until(action="exec_start", container=web).command == "echo back"
        assert len(heard.of(action="source_up")) == 2
        assert len({each.key for each in heard.said}) == len(heard.said)
        # Other daemons of this machine come and go as they like; ours is read again.
        ours = str(daemon.folder)
        end = time.monotonic() + 30
        while any(ours in each for each in heard.sources.troubles()):
            assert time.monotonic() < end, heard.sources.troubles()
            time.sleep(0.1)


def test_containerd_says_the_pid_of_an_exec(containerd):
    with hearing(containerd.socket) as heard:
        heard.until(action="source_up")
        name = f"records-{secrets.token_hex(4)}"  # runc keeps its state in one folder for all containerds
        ctr = ["/usr/bin/ctr", "-a", str(containerd.socket)]
        subprocess.run([*ctr, "run", "-d", "localhost/busybox:test", name, "sleep", "600"], check=True)
        try:
            started = heard.until(action="start", container=name)
            line = [*ctr, "task", "exec", "--exec-id", "visit", name, "echo", "hi"]
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
            visit = heard.until(action="exec_start", container=name)
            assert (visit.exec_id, visit.detail["namespace"]) == ("visit", "default")
            assert visit.pid not in {None, started.pid}
            ended = heard.until(action="exec_die", container=name)
            assert (ended.exec_id, ended.code, ended.pid) == ("visit", 0, visit.pid)
        finally:
            subprocess.run([*ctr, "task", "kill", "-s", "KILL", name], check=False)


def test_a_daemon_that_is_gone_for_good_is_waited_for_no_more(monkeypatch):
    """A builder starts one for a minute, hundreds in a day: each is told away, and is no trouble for ever."""
    monkeypatch.setattr("sensor.records.sources.FORGET_S", 0.5)
    counts = Counter()
    found = Sources(count=lambda name: counts.update([name]))
    found.start()
    told = []

    def until(holds, what):
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, f"{what}: {told[-20:]}, {found.troubles()}"
            told.extend((each.place, each.action) for each in found.take())
            time.sleep(0.05)

    try:
        with Dockerd() as daemon:
            place = str(daemon.socket)
            until(lambda: (place, "source_up") in told, "it is not found")
        until(lambda: (place, "source_away") in told, "it is not told that it went")
        until(lambda: counts["records.source_forgotten"], "it is waited for")
        until(lambda: not any(place in each for each in found.troubles()), "it is a trouble for ever")
    finally:
        found.close()
