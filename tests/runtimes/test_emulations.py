# SPDX-License-Identifier: Apache-2.0
"""Every detection fires on its own emulation: real containers, kernel, sensor and controller."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.detect.catalogue import folders
from vagrant.local.stack import BIN, Stack

pytestmark = pytest.mark.timeout(600)

BY_HAND = {"source_range"}
"""It comes by ssh from this host to itself, which a machine may or may not let it."""
NAMES = sorted({each.name for each in folders()} - BY_HAND, key=lambda name: (name != "exec_burst", name))
"""As `--all` has them: the visits of the others would be a burst before its own turn came."""


@pytest.fixture(scope="module")
def stack(dockerd, tracefs, tmp_path_factory):
    """A controller and a sensor of their own, which know of the tests' daemon."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as undo:
        made = Stack(tmp_path_factory.mktemp("stack"), port, (Path(dockerd.socket),))
        made.start(undo)
        yield made


@pytest.fixture(scope="module")
def proven(stack, dockerd):
    """All emulations that can run on any machine, once for all tests here."""
    here = ["--state", stack.root / "controller"]
    there = ["--docker-host", f"unix://{dockerd.socket}"]
    line = [BIN / "nsentry-controller", *here, "emulate", "run", *NAMES, "--json", *there]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=540)


def test_every_emulation_ends_in_an_alert(proven):
    results = [json.loads(line) for line in proven.stdout.splitlines()]
    assert {each["detection"] for each in results} == set(NAMES)
    assert [each for each in results if not each["fired"]] == [], proven.stderr
    assert proven.returncode == 0


def test_the_alert_names_the_container_and_the_session(proven, stack):
    alerts = {each["id"]: each for each in stack.read("alerts", "list", "--state", "all", "--limit", "10000")}
    for result in map(json.loads, proven.stdout.splitlines()):
        alert = alerts[result["alert"]]
        assert alert["session"] == result["session"]
        named = alert["container"]["name"] or alert["title"]  # a grant is about no container
        assert "nsentry-emulation-" in named
        assert (alert["container"]["name"] or "nsentry-emulation-") in alert["sentence"]


def test_what_was_staged_is_marked_and_closed(proven, stack):
    results = {each["run"]: each for each in map(json.loads, proven.stdout.splitlines())}
    alerts = {each["id"]: each for each in stack.read("alerts", "list", "--state", "all", "--limit", "10000")}
    for run, result in results.items():
        alert = alerts[result["alert"]]
        assert alert["emulation"] == run
        assert alert["state"] == "benign_true_positive"
        assert alert["close_reason"] == f"staged: the emulation of {result['detection']}"


def test_nothing_is_left_behind(proven, dockerd):
    assert dockerd.docker("ps", "-aq", "--filter", "label=nsentry.emulation") == ""
    assert dockerd.docker("images", "-q", "nsentry-emulation") == ""
