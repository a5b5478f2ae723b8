# SPDX-License-Identifier: Apache-2.0
"""Real people change real containers over ssh: each difference says what, by whom, and whether it was authorised."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import ExitStack

import pytest

from tests.runtimes.lab import PATIENCE_S, Lab
from vagrant.local.service import LabError

JANE, BOB, GROUP = (f"ns{name}{os.getpid()}" for name in ("ann", "tom", "group"))
"""Accounts of this run: others may have theirs on the same machine."""

SURE = {"exact", "strong"}


@pytest.fixture(scope="module")
def lab(tracefs, tmp_path_factory):
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("changes"), undo, (JANE, BOB), GROUP)


def run_as(lab, who, line):
    """The id of the container that somebody runs by a command line."""
    return subprocess.run(lab.sshd.line(who, line), check=True, capture_output=True, text=True).stdout.strip()


def told(lab, container, seen):
    """What is told of a container, once `seen` holds of its configurations, the latest first."""
    end = time.monotonic() + PATIENCE_S
    found = []
    while True:
        try:
            found = lab.stack.read("containers", "show", container)[0]["configuration"]
        except LabError:  # no sensor has told of it yet
            found = []
        if found and seen(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.2)


def changed(lab, container, setting):
    """The latest configuration, once it is one in which this differs."""
    return told(lab, container, lambda all_: setting in [each["setting"] for each in all_[0]["changes"]])[0]


def alerts(lab, container):
    """The alerts on changes of one container, as they are now."""
    rows = lab.stack.read("alerts", "list", "--state", "all", "--limit", "1000")
    mine = [each for each in rows if each["container"]["id"] == container]
    return [each for each in mine if "configuration_changed" in each["detections"]]


def alerted(lab, container, findings=1):
    """The one alert on the changes of a container, with its findings, once there are so many.

    A configuration is kept first, and judged after that.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        for alert in alerts(lab, container):
            shown = lab.stack.read("alerts", "show", alert["id"])[0]
            found = [each for each in shown["findings"] if each["detection"] == "configuration_changed"]
            if len(found) >= findings:
                return alert, [each["reason"] for each in found]
        assert time.monotonic() < end, alerts(lab, container)
        time.sleep(0.2)


def test_a_change_over_ssh_is_by_the_person_and_alerted_and_one_by_somebody_on_the_list_is_only_told(lab):
    web, name = lab.web("--memory=64m")
    told(lab, web, bool)
    lab.sshd.run(BOB, lab.docker("update", "--memory=128m", "--memory-swap=128m", name))
    latest = changed(lab, web, "memory")
    assert latest["changes"] == [{"setting": "memory", "before": 64 << 20, "after": 128 << 20}]
    assert (latest["principal"]["name"], latest["principal"]["confidence"] in SURE) == (BOB, True), latest
    assert (latest["authorised"], latest["told"]) == (False, ["update"])
    alert, _ = alerted(lab, web)
    assert alert["sentence"].startswith(f"{BOB} (ssh from 127.0.0.1) changed container {name}")
    assert "memory 64 MiB -> 128 MiB; not authorised: nobody is authorised" in alert["sentence"]

    lab.stack.controller("knobs", "set", "AuthorizedAdminUsers", JANE)
    try:
        lab.sshd.run(JANE, lab.docker("update", "--restart=always", name))
        latest = changed(lab, web, "restart")
        assert (latest["principal"]["name"], latest["authorised"], latest["authorised_by"]) == (
            JANE,
            True,
            "principal",
        )
        lab.sshd.run(BOB, lab.docker("rename", name, f"{name}2"))
        latest = changed(lab, web, "name")
        assert (latest["principal"]["name"], latest["authorised"]) == (BOB, False)
        assert latest["authority"] == f"{BOB} is not among the AuthorizedAdminUsers"
    finally:
        lab.stack.controller("knobs", "unset", "AuthorizedAdminUsers")
    _, reasons = alerted(lab, web, findings=2)
    assert len(reasons) == 2, reasons  # not the one that was authorised
    text = lab.stack.controller("containers", "show", web)
    assert f"restart no -> always; by {JANE} (ssh from 127.0.0.1)" in text
    assert f"authorised: {JANE} is among the AuthorizedAdminUsers" in text


def test_a_network_within_a_window_is_authorised_by_it(lab):
    web, name = lab.web()
    told(lab, web, bool)
    lab.dockerd.docker("network", "create", "back")
    window = ("approvals", "add", JANE, "--container", name, "--until", "1h", "--change", "4711")
    lab.stack.controller(*window)
    lab.sshd.run(JANE, lab.docker("network", "connect", "back", name))
    latest = changed(lab, web, "networks")
    assert (latest["authorised"], latest["authorised_by"]) == (True, "approval"), (
        latest["authority"],
        latest["principal"]["reason"],
        latest["told"],
    )
    assert "change 4711" in latest["authority"]
    assert alerts(lab, web) == []
    rows = lab.stack.read("containers", "changes")
    assert rows[0]["container"] == web
    assert rows[0]["principal"]["name"] == JANE


def test_one_that_is_run_again_by_its_name_is_compared_with_the_one_before(lab):
    run = ["run", "-d", "--name=shop", "-e", "KEY=hidden", "busybox:test", "sleep", "600"]
    first = run_as(lab, JANE, lab.docker(*run))
    told(lab, first, bool)
    lab.dockerd.docker("rm", "-f", first)
    more = "--label=deployed-by=hand --cap-add=SYS_PTRACE --health-cmd=check"
    line = f"{lab.docker(*run[:2])} {more} {shlex.join(run[2:])}"
    second = run_as(lab, BOB, line)
    latest = changed(lab, second, "capabilities")
    assert latest["replaces"] == first
    assert {each["setting"] for each in latest["changes"]} == {"capabilities", "checks"}
    assert latest["principal"]["name"] == BOB, latest
    alert, _ = alerted(lab, second)
    assert alert["severity"] == "high"
    assert f"{BOB} (ssh from 127.0.0.1) started in the place of one configured otherwise" in alert["sentence"]
    assert "hidden" not in lab.stack.controller("alerts", "show", alert["id"], "--json")

    lab.dockerd.docker("rm", "-f", second)
    lab.stack.controller("knobs", "set", "DeployedByLabels", "deployed-by=argo*")
    try:
        line = f"{lab.docker(*run[:2])} --label=deployed-by=argocd {shlex.join(run[2:])}"
        third = run_as(lab, BOB, line)
        latest = changed(lab, third, "capabilities")
        assert (latest["authorised"], latest["authorised_by"], latest["replaces"]) == (True, "label", second)
    finally:
        lab.stack.controller("knobs", "unset", "DeployedByLabels")
    assert alerts(lab, third) == []
