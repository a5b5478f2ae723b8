# SPDX-License-Identifier: Apache-2.0
"""What the lists and pages leave out unless asked, and what they show of containers and of what was lost."""

from __future__ import annotations

import json

from tests.controller import make
from tests.controller.cli.conftest import HOSTILE, visit_alert


def test_a_closed_alert_is_opened_again_only_by_who_says_so(run, ok):
    """Who acknowledges what somebody else closed meanwhile has not seen that it is closed."""
    alert = visit_alert(ok)
    ok("alerts", "close", alert["id"], "--as", "benign_true_positive", "--reason", "change 4711")

    refused = run("alerts", "ack", alert["id"], "--assign", "bob")

    assert refused.exit_code == 1
    assert "closed as benign true positive" in refused.stderr
    assert f"alerts reopen {alert['id']}" in refused.stderr
    shown = json.loads(ok("alerts", "show", alert["id"], "--json"))
    assert (shown["state"], shown["close_reason"]) == ("benign_true_positive", "change 4711")
    assert shown["assignee"] != "bob"
    ok("alerts", "reopen", alert["id"], "--reason", "it was not approved")
    assert json.loads(ok("alerts", "show", alert["id"], "--json"))["state"] == "investigating"
    assert run("alerts", "reopen", alert["id"]).exit_code == 1
    assert run("alerts", "reopen", "0" * 16).exit_code == 1


def test_health_checks_are_listed_only_when_asked_for_and_counted(run, ok):
    for noun, all_ in (("entries", 3), ("sessions", 3)):
        done = run(noun, "list", "--json")
        assert '"means":"probe"' not in done.stdout
        assert "Health checks (means probe) that are not shown: 1," in done.stderr
        (only,) = ok(noun, "list", "--means", "probe", "--json").splitlines()
        assert json.loads(only)["means"] == "probe"
        assert len(ok(noun, "list", "--means", "all", "--json").splitlines()) == all_
    assert json.loads(ok("containers", "show", "web", "--json"))["probes"] == 1


def test_what_a_container_does_of_itself_is_shown_with_how_often(ok):
    shown = json.loads(ok("containers", "show", "web", "--json"))
    page = ok("containers", "show", "web")

    by_what = {each["what"]: each for each in shown["activity"]}
    assert by_what["exec"]["argv"] == HOSTILE
    assert by_what["exec"]["count"] == 12
    assert (shown["activities"], shown["activities_left_out"]) == (2, 0)
    assert "[2001:db8::7]:443 by /bin/busybox" in page
    assert json.loads(ok("containers", "list", "--json"))["activities"] == 2


def test_losses_are_told_by_container(ok):
    """Of the host by container, of the container by cause."""
    shown = json.loads(ok("sensors", "show", "n1", "--json"))

    assert shown["losses_by_container"] == [{"container": make.CONTAINER, "name": "web", "count": 5}]
    assert "web" in ok("sensors", "show", "n1")
    container = json.loads(ok("containers", "show", "web", "--json"))
    assert container["losses"] == {"kernel.lost.ordinary": 5}


def test_a_visit_shows_what_it_did_on_the_network_and_where_that_leads(ok):
    shown = json.loads(ok("sessions", "show", make.session_id(), "--json"))
    (each,) = shown["connections"]
    assert (each["what"], each["port"], each["place"]) == ("connect", 10250, "the kubelet's API")
    page = ok("sessions", "show", make.session_id())
    assert f"connected to {each['address']} port 10250/tcp" in page
    assert "the kubelet's API" in page
