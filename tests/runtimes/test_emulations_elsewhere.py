# SPDX-License-Identifier: Apache-2.0
"""Emulations on podman and by the CRI: some of each kind, on the real runtime, by the commands that an operator types.

All of them run so by hand: `emulate run --all --runtime podman`. crictl is not to be had from Debian: the CRI is driven
by a client of the tests that takes the same words.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes import crictl
from tests.runtimes.containerd import IMAGE, Containerd
from tests.runtimes.day.podman import Podman
from tests.runtimes.day.work import Work
from vagrant.local.stack import BIN, Stack

pytestmark = [pytest.mark.runtimes, pytest.mark.timeout(600)]


class Elsewhere:
    """Podman, a containerd with CRI, and a controller and a sensor that know of both."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.podman = Podman(Work(), undo)
        self.containerd = undo.enter_context(Containerd())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder, port, (self.podman.socket,))
        self.stack.start(undo)

    def emulate(self, *words: str) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]:
        """What `emulate ... --json` printed, and how it ended."""
        line = [str(BIN / "nsentry-controller"), "--state", str(self.stack.root / "controller"), "emulate"]
        done = subprocess.run(
            [*line, *words, "--timeout", "90", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        return [json.loads(each) for each in done.stdout.splitlines()], done

    def on_podman(self) -> list[str]:
        """The options that lead to podman."""
        return ["--runtime", "podman", "--client", shlex.join(self.podman.command)]

    def by_cri(self) -> list[str]:
        """The options that lead to the CRI."""
        client = crictl.named(self.containerd.folder, self.containerd.socket)
        return ["--runtime", "cri", "--client", client, "--image", IMAGE]


@pytest.fixture(scope="module")
def elsewhere(tracefs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with ExitStack() as undo:
        yield Elsewhere(tmp_path_factory.mktemp("elsewhere"), undo)


def test_emulations_fire_on_podman(elsewhere: Elsewhere) -> None:
    """By podman's client, past it, by what a container is allowed, and by what podman alone tells."""
    names = ("interactive_shell", "ns_join", "risky_start", "attach")
    results, done = elsewhere.emulate("run", *names, *elsewhere.on_podman())
    assert {each["detection"]: each["error"] for each in results} == dict.fromkeys(names), done.stderr
    assert done.returncode == 0


def test_emulations_fire_by_the_cri(elsewhere: Elsewhere) -> None:
    """By its exec with a terminal, past it, by the runtime below it, by ptrace; by whom, and otherwise than usual."""
    names = (
        "interactive_shell",
        "ns_join",
        "runtime_by_hand",
        "inject",
        "unauthorised_principal",
        "unusual_visit",
    )
    results, done = elsewhere.emulate("run", *names, *elsewhere.by_cri())
    assert {each["detection"]: each["error"] for each in results} == dict.fromkeys(names), done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("chores", [("on_call", "log_shipper")])
def test_a_benign_day_is_quiet_on_podman(elsewhere: Elsewhere, chores: tuple[str, ...]) -> None:
    results, done = elsewhere.emulate("benign", *chores, *elsewhere.on_podman())
    assert [each for each in results if not each["quiet"]] == [], done.stderr
    assert done.returncode == 0


def test_nothing_of_them_is_left(elsewhere: Elsewhere) -> None:
    words = ("ps", "--all", "--quiet", "--filter", "label=nsentry.emulation")
    done = subprocess.run([*elsewhere.podman.command, *words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    listed = elsewhere.containerd.ctr("containers", "list", "--quiet", namespace="k8s.io")
    assert listed.split() == []
