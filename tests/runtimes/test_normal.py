# SPDX-License-Identifier: Apache-2.0
"""What people said is normal, tried on real visits: by a real sshd, runtime, kernel, sensor and controller."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.runtimes.sshd import Sshd
from vagrant.local.dockerd import Dockerd
from vagrant.local.service import LabError
from vagrant.local.stack import Stack

PATIENCE_S = 90.0
ANN, EVE, GROUP = (f"ns{name}{os.getpid()}" for name in ("ada", "eve", "normal"))
"""Accounts of this run: others may have theirs on the same machine."""
LOOK = ("sh", "-c", "id; env >/dev/null")


class Lab:
    def __init__(self, folder, undo):
        self.dockerd = undo.enter_context(Dockerd())
        self.dockerd.image("busybox:test")
        self.dockerd.socket.chmod(0o666)
        self.dockerd.folder.chmod(0o711)
        self.sshd = undo.enter_context(Sshd((ANN, EVE), GROUP))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder / "stack", port, (Path(self.dockerd.socket),))
        self.stack.start(undo)
        made = self.stack.read("api-tokens", "create", "change-system", "--scope", "approvals:write")
        self.api = undo.enter_context(requests.Session())
        self.api.trust_env = False
        self.api.verify = str(self.stack.root / "controller" / "ca.pem")
        self.api.headers["authorization"] = f"Bearer {made[0]['token']}"

    def web(self):
        """A container: its id and its name."""
        made = self.dockerd.run("busybox:test", "sleep", "600")
        return made, self.dockerd.docker("inspect", "-f", "{{.Name}}", made).strip("/")

    def line(self, name, *command):
        return shlex.join(["docker", "-H", f"unix://{self.dockerd.socket}", "exec", name, *command])

    def visit(self, who, name, *command):
        self.sshd.run(who, self.line(name, *(command or LOOK)))

    @contextmanager
    def staying(self, who, name, *command):
        """Somebody is inside meanwhile."""
        inside = subprocess.Popen(self.sshd.line(who, self.line(name, *command)), stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            inside.terminate()
            inside.wait(PATIENCE_S)

    def ask(self, method, path="", **body):
        url = f"{self.stack.url}/api/v1/approvals{path}"
        answer = self.api.request(method, url, json=body or None, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.json()

    def sessions(self, container, count=1, wanted=lambda _session: True):
        """The visits to a container, the first one first, once there are so many that are as `wanted`."""

        def found():
            rows = self.stack.read("sessions", "list", "--container", container)
            shown = [self.stack.read("sessions", "show", each["id"])[0] for each in reversed(rows)]
            return shown if sum(map(wanted, shown)) >= count else None

        return until(found)

    def alerts(self, container, *more):
        rows = self.stack.read("alerts", "list", "--state", "all", "--limit", "1000", *more)
        return [each for each in rows if each["container"]["id"] == container]

    def alerted(self, container, count=1):
        return until(lambda: found if len(found := self.alerts(container)) >= count else None)


def until(find):
    """What it finds, once it finds something."""
    end = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)
    return found


def approved(session):
    return session["approval"] is not None and bool(session["withheld"])


@pytest.fixture(scope="module")
def lab(tracefs, tmp_path_factory):
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("normal"), undo)


def test_a_visit_within_a_window_is_recorded_and_shown_and_not_alerted(lab):
    """Opened by the API. The same by somebody else, and by her once it is ended, is alerted."""
    web, name = lab.web()
    number = lab.ask("POST", principal=ANN, container=name, until="2h", change="4711")["id"]
    lab.visit(ANN, name)
    (session,) = lab.sessions(web, wanted=approved)
    assert (session["approval"]["id"], session["approval"]["standing"]) == (number, "approved")
    assert session["principal"]["name"] == ANN
    withheld = {each["detection"] for each in session["withheld"]}
    assert "interactive_shell" in withheld
    assert lab.alerts(web) == []
    assert lab.ask("GET", f"/{number}")["visits_within"] == [
        {"session": session["id"], "standing": "approved"}
    ]
    assert lab.stack.read("approvals", "show", str(number))[0]["withheld"][0]["session"] == session["id"]

    lab.visit(EVE, name)
    (alert,) = lab.alerted(web)
    assert alert["principal"] == EVE

    lab.ask("DELETE", f"/{number}?reason=done")
    lab.visit(ANN, name)
    alerts = lab.alerted(web, 2)
    assert {each["principal"] for each in alerts} == {ANN, EVE}
    assert session["id"] not in {each["session"] for each in alerts}
    told = [
        (each["actor"], each["action"]) for each in lab.stack.read("audit", "list", "--object", str(number))
    ]
    assert told == [("api:change-system", "approval.revoke"), ("api:change-system", "approval.add")]


def test_a_visit_that_outlives_its_window_is_alerted_whole(lab):
    web, name = lab.web()
    lab.stack.controller("approvals", "add", ANN, "--container", name, "--until", "1h", "--change", "9")
    (window,) = [each for each in lab.stack.read("approvals", "list") if name in each["sentence"]]
    with lab.staying(ANN, name, "sh", "-c", "sleep 300"):
        lab.sessions(web, wanted=approved)
        assert lab.alerts(web) == []
        lab.stack.controller("approvals", "revoke", str(window["id"]), "--reason", "called off")
        (alert,) = lab.alerted(web)
    (session,) = lab.sessions(web)
    assert alert["session"] == session["id"]
    assert session["approval"]["standing"] == "outlived"
    assert "interactive_shell" in alert["detections"]


def test_an_exception_keeps_back_what_it_is_about_and_nothing_else(lab):
    web, name = lab.web()
    other, elsewhere = lab.web()
    line = ("exceptions", "add", f"quiet-{name}".replace("_", "-")[:60], f'container.name == "{name}"')
    lab.stack.controller(*line, "--reason", "known", "--expires", "1h")
    lab.visit(EVE, name)
    lab.visit(EVE, elsewhere)
    (alert,) = lab.alerted(other)
    (session,) = lab.sessions(web, wanted=lambda each: bool(each["withheld"]))
    assert {each["because"] for each in session["withheld"]} == {"exception"}
    assert lab.alerts(web) == []

    lab.stack.controller("exceptions", "remove", line[2])
    lab.visit(EVE, name)
    (again,) = lab.alerted(web)
    assert again["session"] != session["id"]

    # What would have hidden an alert that was marked true is added only by who says so.
    lab.stack.controller("alerts", "close", alert["id"], "--as", "true_positive", "--reason", "it was her")
    expression = f'container.name == "{elsewhere}"'
    assert lab.stack.read("exceptions", "preview", expression)[0]["true_positives"] == 1
    hiding = ("exceptions", "add", "hides-a-true-one", expression, "--reason", "r", "--expires", "1h")
    with pytest.raises(LabError, match="marked true"):
        lab.stack.controller(*hiding)
    lab.stack.controller(*hiding, "--despite-true-positives")
    detail = lab.stack.read("audit", "list", "--object", "hides-a-true-one")[0]["detail"]
    assert detail["true_positives"] == 1, json.dumps(detail)


def test_an_alert_like_one_that_was_resolved_says_so(lab):
    web, name = lab.web()
    lab.visit(EVE, name)
    (first,) = lab.alerted(web)
    lab.stack.controller(
        "alerts", "close", first["id"], "--as", "benign_true_positive", "--reason", "on call"
    )
    lab.visit(EVE, name)
    second = next(each for each in lab.alerted(web, 2) if each["id"] != first["id"])
    assert second["repeats_alert"] == first["id"]
    assert lab.stack.read("alerts", "show", second["id"])[0]["repeats"]["state"] == "benign_true_positive"
