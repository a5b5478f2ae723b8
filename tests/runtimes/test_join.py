# SPDX-License-Identifier: Apache-2.0
"""A real sensor, dockerd and controller: an exec has its record, what goes past the daemon has none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

PATIENCE_S = 90.0


class Lab:
    def __init__(self, folder, undo):
        self.dockerd = undo.enter_context(Dockerd())
        self.dockerd.image("busybox:test")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder, port, (Path(self.dockerd.socket),))
        self.stack.start(undo)
        self.until(lambda: self.records("source_up"), "docker is not listened to")

    def records(self, action):
        said = self.stack.read("records", "list", "--action", action)
        return [each for each in said if each["place"] == str(self.dockerd.socket)]

    def until(self, seen, why):
        end = time.monotonic() + PATIENCE_S
        while not (found := seen()):
            assert time.monotonic() < end, why
            time.sleep(0.2)
        return found

    def entry(self, container, status):
        """The entry into a container whose record is as expected."""

        def found():
            entries = self.stack.read("entries", "list", "--container", container, "--means", "all")
            return [each for each in entries if each["record"] and each["record"]["status"] == status]

        return self.until(found, f"no entry into {container} was {status}")[0]

    def run(self):
        return self.dockerd.run("busybox:test", "sleep", "600")


@pytest.fixture(scope="module")
def lab(tracefs, tmp_path_factory):
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("join"), undo)


def test_a_docker_exec_has_its_record_exactly(lab):
    web = lab.run()
    lab.dockerd.exec(web, "echo", "hi")
    entry = lab.entry(web, "recorded")
    assert (entry["means"], entry["confidence"]) == ("docker-exec", "exact")
    assert entry["sentence"].endswith("recorded by docker")
    said = lab.stack.read("records", "list", "--exec-id", entry["record"]["exec_id"])
    assert {"exec_create", "exec_start"} <= {each["action"] for each in said}
    # the daemon's own containerd tells of the same exec, and of its pid
    pids = {each["pid"] for each in said if each["source"] == "containerd" and each["pid"]}
    assert pids in (set(), {entry["process"]["pid"]})


def test_nsenter_has_none(lab):
    web = lab.run()
    pid = str(lab.dockerd.init_pid(web))
    subprocess.run(["nsenter", "-t", pid, "-a", "/bin/echo", "hi"], check=True, stdout=subprocess.DEVNULL)
    entry = lab.entry(web, "unrecorded")
    assert (entry["means"], entry["confidence"]) == ("ns-join", "none")

    def alerts():
        found = lab.stack.read("alerts", "list", "--state", "all", "--limit", "10000")
        return [each for each in found if each["session"] == entry["session"]]

    (alert,) = lab.until(alerts, "there is no alert")
    assert "unrecorded_entry" in alert["detections"]


def test_many_execs_at_once_are_joined_one_to_one(lab):
    web = lab.run()
    clients = [
        subprocess.Popen(
            ["/usr/bin/docker", "-H", f"unix://{lab.dockerd.socket}", "exec", web, "sleep", "0.1"]
        )
        for _ in range(5)
    ]
    for client in clients:
        assert client.wait(60) == 0

    def joined():
        entries = lab.stack.read("entries", "list", "--container", web)
        return [each for each in entries if each["confidence"] == "exact"]

    lab.until(lambda: len(joined()) == len(clients), "not every exec has its record")
    assert len({each["record"]["exec_id"] for each in joined()}) == len(clients)


def test_after_dockerd_was_killed_and_started_again_records_and_verdicts_go_on(lab):
    daemon = lab.dockerd
    # what runs would have to be ended by the next daemon before it answers
    for web in daemon.docker("ps", "-aq").split():
        daemon.docker("rm", "-f", web)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon._process.wait(30)
    (daemon.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
    lab.until(lambda: lab.records("source_away"), "it is not told that docker went away")
    daemon.start()
    lab.until(lambda: len(lab.records("source_up")) > 1, "docker is not listened to again")
    web = lab.run()
    daemon.exec(web, "echo", "back")
    assert lab.entry(web, "recorded")["confidence"] == "exact"
