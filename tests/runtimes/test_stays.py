# SPDX-License-Identifier: Apache-2.0
"""Who joins a container's mounts and stays there has entered, though he executes nothing."""

from __future__ import annotations

import subprocess

import pytest

from sensor.entry import vain
from tests.runtimes.watching import Watching
from tests.runtimes.ways.way import PROGRAMS
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

PATIENCE_S = 60


def test_a_program_that_looks_about_inside_is_an_entry_while_it_is_there(
    watching: Watching, dockerd: Dockerd, container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vain, "STAY_NS", 1_000_000_000)
    made = container()
    pid = str(dockerd.init_pid(made))
    watching.known(made)
    command = ["/usr/bin/python3", str(PROGRAMS / "look.py"), "stay", pid, "600"]
    with subprocess.Popen(command, cwd="/") as visitor:
        try:

            def entered() -> bool:
                watching.watch.reconcile()
                return bool(watching.of("entry", made))

            watching.until(entered, PATIENCE_S)
        finally:
            visitor.kill()
    (entry,) = watching.of("entry", made)
    assert (entry["means"], entry["verdict"], entry["namespaces"]) == ("ns-join", "ns-only", ["mnt"])
    assert entry["process"]["argv"] == command
    assert entry["process"]["pid"] == visitor.pid

    def ended() -> bool:
        return any(
            event["kind"] == "session_end" and event["session"] == entry["session"]
            for event in watching.events
        )

    watching.until(ended, PATIENCE_S)
    assert not watching.of("attempt", made)
