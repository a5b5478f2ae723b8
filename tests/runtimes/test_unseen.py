# SPDX-License-Identifier: Apache-2.0
"""Where a real sensor is blind: an exec that keeps out of the kernel's sight, and one while no sensor ran."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

PATIENCE_S = 60.0
SANDBOX = """#!/bin/sh
# As a sandboxed runtime does it: an exec joins none of the container's namespaces in the host's kernel.
exec_=; pid_file=; before=
for word in "$@"; do
    [ "$before" = --pid-file ] && pid_file=$word
    [ "$word" = exec ] && exec_=yes
    before=$word
done
[ "$exec_" ] || exec /usr/sbin/runc "$@"
sleep 1 >/dev/null 2>&1 </dev/null &
printf %s "$!" >"$pid_file"
"""


class Lab:
    def __init__(self, folder, undo):
        program = folder / "runsc"
        program.write_text(SANDBOX)
        program.chmod(0o755)
        self.dockerd = undo.enter_context(Dockerd(runtimes={"runsc": str(program)}))
        self.dockerd.image("busybox:test")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder, port, (Path(self.dockerd.socket),))
        self.stack.start(undo)
        self.until(lambda: self.stack.read("records", "list", "--action", "source_up"), "docker is not heard")

    def until(self, seen, why):
        end = time.monotonic() + PATIENCE_S
        while not (found := seen()):
            assert time.monotonic() < end, why
            time.sleep(0.2)
        return found

    def unseen(self, container):
        listed = ("coverage", "list", "--container", container)
        (found,) = self.until(lambda: self.stack.read(*listed), "no record is without an entry")
        return found

    def alert(self, container, detection):
        def raised():
            every = self.stack.read("alerts", "list", "--state", "all", "--limit", "10000")
            mine = [each for each in every if each["container"]["id"] == container]
            return [each for each in mine if detection in each["detections"]]

        (found,) = self.until(raised, f"no alert of {detection}")
        return found


@pytest.fixture(scope="module")
def lab(tracefs, tmp_path_factory):
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("unseen"), undo)


def test_an_exec_in_a_sandbox_is_told_with_the_runtime_as_its_cause(lab):
    web = lab.dockerd.docker("run", "-d", "--runtime=runsc", "busybox:test", "sleep", "600")
    lab.dockerd.docker("exec", "-d", web, "id")
    found = lab.unseen(web)
    assert (found["status"], found["cause"]) == ("unseen", "sandboxed")
    alert = lab.alert(web, "record_without_entry")
    assert alert["severity"] == "medium"
    assert "gVisor (runsc)" in alert["sentence"]


def test_an_exec_for_a_user_that_is_not_there_began_and_was_no_process(lab):
    web = lab.dockerd.run("busybox:test", "sleep", "600")
    line = ["/usr/bin/docker", "-H", f"unix://{lab.dockerd.socket}", "exec", "--user", "nosuch", web, "id"]
    assert subprocess.run(line, capture_output=True, check=False, timeout=30).returncode == 126
    found = lab.unseen(web)
    assert found["status"] == "unseen"
    # A machine under load may lose events in the same minute: that is the more certain cause then.
    severity = {"not_started": "low", "lost": "medium"}[found["cause"]]
    assert lab.alert(web, "record_without_entry")["severity"] == severity


def test_files_copied_both_ways_are_one_alert_of_the_container(lab, tmp_path):
    web = lab.dockerd.run("busybox:test", "sleep", "600")
    (tmp_path / "tool").write_text("x")
    lab.dockerd.docker("cp", str(tmp_path / "tool"), f"{web}:/tmp/tool")
    lab.dockerd.docker("cp", f"{web}:/tmp/tool", str(tmp_path / "loot"))
    alert = lab.alert(web, "files_copied")
    assert alert["severity"] == "medium"

    def both():
        shown = lab.stack.read("alerts", "show", alert["id"])[0]
        return len(shown["findings"]) == 2

    lab.until(both, "a copy is missing")


def test_each_source_is_told_with_its_delay(lab):
    (source,) = [
        each for each in lab.stack.read("records", "sources") if each["place"] == str(lab.dockerd.socket)
    ]
    assert (source["source"], source["away"], source["degraded"]) == ("docker", None, [])
    assert 0 <= source["delay_p50_ns"] <= source["delay_p99_ns"]
    assert source["told"] > 0
