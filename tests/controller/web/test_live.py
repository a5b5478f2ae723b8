# SPDX-License-Identifier: Apache-2.0
"""The stream of changes, asked of a real controller."""

from __future__ import annotations

import re
from html import unescape

import pytest

from controller.web.gate import COOKIE
from tests.browser.seed import WEB, Fleet
from tests.browser.serving import dashboard
from tests.browser.visits import SHELL, ago
from tests.controller.serving import wait_for


@pytest.fixture
def served(tmp_path):
    with dashboard(tmp_path / "state") as running:
        yield running


def _first(served, cookie, page, wanted):
    """The first of the events `wanted` of the stream that a page names."""
    path = unescape(re.search(r'data-live-path="([^"]+)"', page)[1])
    with served.session() as http:
        http.headers["cookie"] = f"{COOKIE}={cookie}"
        with http.get(served.url + path, stream=True, timeout=20) as stream:
            return next(line for line in stream.iter_lines() if line.decode() in wanted).decode()


def test_what_happens_while_a_page_is_on_its_way_is_not_missed(served):
    """An alert that is raised, or a visit that goes on, after the page was made and before its stream began."""
    fleet = Fleet(served.url, str(served.state / "ca.pem"), served.command("token", "create"))
    cookie, host = served.session_of("ada"), fleet.enrol("n1")
    alerts = served.get("/alerts", cookie).text

    visit = host.visit(WEB, ago(minutes=1)).exec(*SHELL, tty="pts/0")
    host.send(*visit.events)
    wait_for(lambda: served.read("alerts", "list"))
    assert _first(served, cookie, alerts, {"event: alert"})

    (alert,) = served.read("alerts", "list")
    page = served.get(f"/alerts/{alert['id']}", cookie).text
    sent = len(visit.events)
    host.send(*visit.run("/bin/true", ["true"]).leave().events[sent:])
    wait_for(lambda: served.read("sessions", "list")[0]["ended"])
    assert _first(served, cookie, page, {"event: visit"})
