# SPDX-License-Identifier: Apache-2.0
"""The hosts page, asked of a real controller."""

from __future__ import annotations

import re

import pytest

from controller.store import notes
from tests.browser.seed import WEB, Fleet
from tests.browser.serving import dashboard
from tests.browser.visits import SHELL, ago
from tests.controller import make
from tests.controller.serving import wait_for


@pytest.fixture
def served(tmp_path):
    with dashboard(tmp_path / "state") as running:
        yield running


def test_the_alerts_behind_a_host_are_those_that_its_page_counted(served):
    """A machine that was enrolled again has its name twice: each leads to its own alerts."""
    fleet = Fleet(served.url, str(served.state / "ca.pem"), served.command("token", "create", "--uses", "2"))
    for visits in (1, 2):
        host = fleet.enrol("twice")
        host.beat()
        for minutes in range(visits):
            host.send(
                *host.visit(WEB, ago(minutes=1 + minutes)).exec(*SHELL, tty="pts/0").wait(1).leave().events
            )
    wait_for(lambda: len(served.read("alerts", "list")) == 3)
    cookie = served.session_of("ada")

    links = re.findall(r'href="/alerts\?(host=[^"]+)">(\d+)<', served.get("/hosts", cookie).text)

    assert sorted(count for _, count in links) == ["1", "2"]
    for query, count in links:
        assert served.get(f"/alerts.json?{query}", cookie).json()["total"] == int(count)


def test_a_replaced_host_is_listed_when_asked_for_and_says_by_whom(served):
    """Its alerts are still there, so it must be found; but it needs nobody."""
    fleet = Fleet(served.url, str(served.state / "ca.pem"), served.command("token", "create", "--uses", "2"))
    first, second = (fleet.enrol("again", machine="m1") for _ in range(2))
    cookie = served.session_of("ada")

    def listed(path):
        return [host["id"] for host in served.get(path, cookie).json()["hosts"]]

    assert listed("/hosts.json") == [second.id]
    assert set(listed("/hosts.json?replaced")) == {first.id, second.id}
    assert "not shown: 1" in served.get("/hosts", cookie).text
    page = served.get(f"/hosts/{first.id}", cookie).text
    assert "replaced" in page
    assert f'href="/hosts/{second.id}"' in page
    assert [host["id"] for host in served.read("sensors", "list")] == [second.id]
    assert len(served.read("sensors", "list", "--replaced")) == 2


def test_a_note_of_a_kind_that_is_not_known_is_shown_as_that():
    """A newer sensor must not be silenced by an older controller."""
    note = {"action": "exploded", "reason": "by itself", "version": "9", "loader": None, "hooks": {}}

    assert notes.sentence(note) == "noted 'exploded', which this controller does not know: by itself"


def test_who_signalled_the_sensor_and_when_none_ran_is_said(served):
    """Through ingest, as a sensor sends it, to the host's page and to programs."""
    sensor = served.enrol(name="killed")
    killer = {
        "pid": 77,
        "start": 5,
        "comm": "kill",
        "exe": "/bin/kill",
        "argv": ["kill", "-9", "1"],
        "uid": 0,
        "side": "host",
    }
    shell = {**killer, "pid": 70, "comm": "bash"}
    login = {"uid": 1000, "user": "ann", "session": 3}
    since = 1_700_000_000_000_000_000
    sensor.stored(
        make.agent(
            1,
            sensor.host,
            action="signal",
            reason="SIGKILL",
            signal=9,
            sent_by=killer,
            ancestry=[shell],
            login=login,
        ),
        make.agent(2, sensor.host, action="gap", since=since, recorded=True),
        make.agent(3, sensor.host, action="gap", since=since, recorded=False),
        make.agent(4, sensor.host, action="signal", reason="SIGKILL", signal=9, sent_by=None),
    )
    said = [note["sentence"] for note in served.read("sensors", "show", sensor.host)[0]["notes"]]
    assert said[3] == (
        "was sent a signal by pid 77 (kill -9 1, uid 0, login ann), below bash (pid 70): SIGKILL"
    )
    assert "its programs recorded on" in said[2]
    assert "nobody watched" in said[1]
    assert said[0] == "was sent a signal by the kernel on its own account: SIGKILL"
    assert "kill -9 1, uid 0, login ann" in served.get(f"/hosts/{sensor.host}", served.session_of("ada")).text
