# SPDX-License-Identifier: Apache-2.0
"""Every detection fires on its own emulation: real containers, kernel, sensor and controller."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controller.detect.catalogue import folders
from controller.policy.knobs import KNOBS
from tests.runtimes.sshd import Sshd
from vagrant.local.stack import BIN, Stack

pytestmark = pytest.mark.timeout(600)

BY_HAND = {"sensor_blinded"}
"""It is done to the sensor itself, of which the others need the eyes: see test_self_watch.py."""
NAMES = sorted({each.name for each in folders()} - BY_HAND, key=lambda name: (name != "exec_burst", name))
"""As `--all` has them: the visits of the others would be a burst before its own turn came."""

EXPORTS = """
[[export]]
name = "pager"
kind = "webhook"
address = "http://127.0.0.1:{port}/"
[[export]]
name = "archive"
kind = "file"
address = "{archive}"
"""


@contextmanager
def pager(told):
    """A webhook's receiver, which appends what it is told; its port."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def paged():
    """What people were told."""
    return []


@pytest.fixture(scope="module")
def stack(dockerd, tracefs, tmp_path_factory, paged):
    """A controller that pages, and a sensor, of their own, which know of the tests' daemon."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as undo:
        made = Stack(tmp_path_factory.mktemp("stack"), port, (Path(dockerd.socket),))
        made.controller("init", "--listen", f"127.0.0.1:{port}", "--url", made.url)
        exports = EXPORTS.format(archive=made.root / "archive.jsonl", port=undo.enter_context(pager(paged)))
        with (made.root / "controller" / "controller.toml").open("a", encoding="ascii") as file:
            file.write(exports)
        made.start(undo)
        yield made


@pytest.fixture(scope="module")
def foreign(dockerd):
    """A container that looks like an emulation's, and is somebody else's: of a run that nobody began here."""
    image = dockerd.image("busybox:foreign")
    options = ("--label", "nsentry.emulation=ffffffffffff")
    return dockerd.run(image, "sleep", "3600", name="nsentry-emulation-ffffffffffff", options=options)


@pytest.fixture(scope="module")
def proven(stack, dockerd, foreign):
    """All emulations, once for all tests here."""
    here = ["--state", stack.root / "controller"]
    there = ["--docker-host", f"unix://{dockerd.socket}"]
    line = [BIN / "nsentry-controller", *here, "emulate", "run", *NAMES, "--timeout", "60", "--json", *there]
    with Sshd((), "nsentryemulation") as sshd:
        way = {"NSENTRY_SSH": shlex.join(sshd.line("root", "")[:-1])}
        return subprocess.run(
            line, capture_output=True, text=True, check=False, timeout=540, env={**os.environ, **way}
        )


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


def test_a_knob_that_an_emulation_needs_is_set_for_its_containers_alone(proven, stack):
    runs = {each["detection"]: each["run"] for each in map(json.loads, proven.stdout.splitlines())}
    assert {each["name"] for each in stack.read("knobs", "list") if each["origin"] == "default"} == set(KNOBS)
    said = {each["object"]: each for each in stack.read("audit", "list", "--limit", "1000")}
    for detection in ("unauthorised_principal", "namespace_scope", "source_range"):
        assert said[runs[detection]]["action"] == "emulation.knobs"
        assert said[runs[detection]]["actor"].endswith(", by emulate")
    assert not [each for each in said.values() if each["action"].startswith("knob")]


def test_what_was_staged_is_marked_and_closed(proven, stack):
    results = {each["run"]: each for each in map(json.loads, proven.stdout.splitlines())}
    alerts = {each["id"]: each for each in stack.read("alerts", "list", "--state", "all", "--limit", "10000")}
    for run, result in results.items():
        alert = alerts[result["alert"]]
        assert alert["emulation"] == run
        assert alert["state"] == "benign_true_positive"
        assert alert["close_reason"] == f"staged: the emulation of {result['detection']}"


def test_what_an_emulation_did_not_make_is_neither_entered_nor_removed(proven, foreign, stack, dockerd):
    assert dockerd.docker("inspect", "--format", "{{.State.Running}}", foreign) == "true"
    assert stack.read("sessions", "list", "--container", foreign) == []


def test_nothing_is_left_behind(proven, foreign, dockerd):
    left = dockerd.docker("ps", "-aq", "--no-trunc", "--filter", "label=nsentry.emulation").split()
    assert left == [foreign]
    assert dockerd.docker("images", "-q", "nsentry-emulation") == ""


@pytest.fixture(scope="module")
def day(proven, stack, dockerd):
    """A short benign day: a chore of each way to be quiet. After `proven`, which it follows on the same host."""
    here = ["--state", stack.root / "controller"]
    there = ["--docker-host", f"unix://{dockerd.socket}", "--timeout", "120", "--json"]
    chores = ["backup", "certificates", "log_rotation", "on_call", "probes"]
    line = [BIN / "nsentry-controller", *here, "emulate", "benign", *chores, *there]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    return done, {each["chore"]: each for each in map(json.loads, done.stdout.splitlines())}


def test_a_benign_day_is_quiet_and_says_what_kept_it_so(day):
    done, results = day
    assert [each for each in results.values() if not each["quiet"]] == [], done.stderr
    assert done.returncode == 0
    because = {name: {each["because"] for each in result["withheld"]} for name, result in results.items()}
    assert because["certificates"] == because["log_rotation"] == {"exception"}
    assert because["on_call"] == {"approval"}
    assert "interactive_shell" in {each["detection"] for each in results["on_call"]["withheld"]}
    assert results["backup"]["visits"] == 1
    assert results["probes"]["probes"] >= 1
    assert results["probes"]["visits"] == 0


def test_what_was_said_for_a_benign_day_counted_for_it_alone_and_is_taken_back(day, stack):
    approvals = stack.read("approvals", "list", "--state", "revoked")
    assert len(approvals) == 1
    assert stack.read("approvals", "list", "--state", "open") == []
    exceptions = stack.read("exceptions", "list", "--state", "removed")
    assert stack.read("exceptions", "list") == []
    assert exceptions
    assert all('container.name like "nsentry-emulation-' in each["expression"] for each in exceptions)
    said = [
        each for each in stack.read("audit", "list") if each["action"].startswith(("exception", "approval"))
    ]
    assert said
    assert all(each["actor"].endswith(", by emulate") for each in said)


def test_a_benign_day_of_which_nothing_was_said_is_told(day, stack, dockerd):
    here = ["--state", stack.root / "controller"]
    there = ["--docker-host", f"unix://{dockerd.socket}", "--timeout", "120", "--json"]
    line = [BIN / "nsentry-controller", *here, "emulate", "benign", "migration", "--untold", *there]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    (result,) = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert {name for alert in result["alerts"] for name in alert["detections"]} >= {"interactive_shell"}
    alert = result["alerts"][0]["id"]
    shown = json.loads(stack.controller("alerts", "show", alert, "--json"))
    assert (shown["emulation"], shown["state"]) == (result["run"], "false_positive")


def test_nobody_is_paged_for_what_was_staged_and_the_archive_has_it_marked(day, stack, dockerd, paged):
    """A visit that nobody staged comes last: once it is told, all before it was dealt with."""
    image = dockerd.image("busybox:visited")
    visited = dockerd.run(image, "sleep", "600")
    dockerd.exec(visited, "sh", "-c", "cat /etc/shadow || true")
    until = time.monotonic() + 120
    while not any(each["alert"]["container"]["id"] == visited for each in paged):
        assert time.monotonic() < until, stack.controller("exports", "list")
        time.sleep(0.25)
    staged = {
        each["id"]
        for each in stack.read("alerts", "list", "--state", "all", "--limit", "10000")
        if each["emulation"]
    }
    assert len(staged) > len(NAMES) - 5
    assert [each for each in paged if each["alert"]["id"] in staged] == []
    archive = (stack.root / "archive.jsonl").read_text(encoding="utf-8").splitlines()
    marks = {
        each["alert"]["id"]: each["emulation"]
        for each in map(json.loads, archive)
        if each["alert"]["id"] in staged
    }
    assert set(marks.values()) == {True}
