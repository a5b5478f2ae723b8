# SPDX-License-Identifier: Apache-2.0
"""The page of coverage, asked of a real controller."""

from __future__ import annotations

import json

import pytest

from tests.browser.seed import Fleet
from tests.browser.serving import dashboard
from tests.controller import make
from tests.controller.serving import wait_for


@pytest.fixture
def served(tmp_path):
    with dashboard(tmp_path / "state") as running:
        yield running


def test_an_exec_that_was_not_seen_stands_on_the_page_and_in_its_twin_and_on_the_command_line(served):
    fleet = Fleet(served.url, str(served.state / "ca.pem"), served.command("token", "create"))
    host = fleet.enrol("blind")
    events = [
        make.agent(1),
        make.activity(5),
        make.record(2, "source_up", container_id=None, exec_id=None, command=None),
        make.record(3, "exec_start", command="<b>id"),
        make.record(4, "exec_die", code=0, command=None),
    ]
    host.send(
        *({**each, "id": f"{host.id}/{make.BOOT}/{number}"} for number, each in enumerate(events, 9000))
    )
    wait_for(lambda: served.read("coverage", "list"))
    cookie = served.session_of("ada")
    page = served.get("/coverage", cookie).text
    assert "the sensor ran, lost nothing" in page
    assert "/run/docker.sock" in page
    twin = json.loads(served.get("/coverage.json", cookie).text)
    assert twin["hosts"] == {"blind": {"unexplained": 1}}
    assert twin["records"] == served.read("coverage", "list", "--host", "blind")
    assert twin["sources"] == served.read("records", "sources")
    assert served.get("/coverage?cause=lost", cookie).text.count("Nothing matches") == 1
