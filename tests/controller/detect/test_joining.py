# SPDX-License-Identifier: Apache-2.0
"""The worker's join as a state machine: records early, late, twice, out of order or never."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.detect import catalogue, join
from controller.detect.engine import Engine
from controller.detect.worker import Worker
from controller.store import entries, sessions
from controller.store.records_schema import attributions
from controller.store.schema import alert_history, alerts, findings
from tests.controller.detect.building import HOST, collector, event
from tests.controller.make import record as saying

ID = "e" * 64
ENTRY = event("docker-exec", 2, exec_id=ID)
CONTAINER = ENTRY["container"]["id"]
_numbers = itertools.count(100)


def said(action="exec_start", **more):
    number = next(_numbers)
    base = {
        "id": f"{HOST}/b1/{number}",
        "time": ENTRY["time"] - 50_000_000,
        "container_id": CONTAINER,
        "exec_id": ID,
        "key": f"{number:032x}",
    }
    return {**saying(1, action), **base, **more}


def listening(action="source_up", time=ENTRY["time"] - 10**12, **detail):
    return said(action, container_id=None, exec_id=None, command=None, time=time, detail=detail)


class Here:
    def __init__(self, made):
        self.made, self.now = made, 10**9
        self.worker = self.another()

    def another(self):
        """A worker that begins anew, as after a restart of the controller."""
        engine = Engine([catalogue.load(catalogue.BUILT_IN / "unrecorded_entry")])
        self.worker = Worker(self.made.store, self.made.bus, engine, clock=lambda: self.now)
        return self.worker

    def comes(self, *events):
        self.made.take_in(*events)
        while self.worker.run_once():
            pass

    def passes(self, seconds):
        self.now += seconds * 10**9
        for _ in range(3):
            self.worker.run_once()

    @property
    def record(self):
        with self.made.store.read() as connection:
            (view,) = entries.list_(connection)
        return view["record"]


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield Here(made)


def test_a_docker_exec_has_its_record_exactly(here):
    here.comes(listening(), said("exec_create"), said(), ENTRY)
    assert (here.record["status"], here.record["confidence"]) == ("recorded", "exact")
    assert here.record["reason"] == "recorded by docker: the exec id of docker's record"
    here.passes(200)
    assert here.made.rows(alerts) == []
    with here.made.store.read() as connection:
        (shown,) = sessions.list_(connection)
    assert shown["sentence"].endswith("; recorded by docker")


def test_a_visit_without_a_record_is_an_alert_once_its_time_is_up_and_not_before(here):
    here.comes(listening(), ENTRY)
    assert here.record["status"] == "awaited"
    here.passes(4)
    assert here.made.rows(alerts) == []
    here.passes(2)
    assert here.record["status"] == "unrecorded"
    (alert,) = here.made.rows(alerts)
    assert (alert["severity"], alert["title"]) == (4, "Entry without a record: web")
    assert alert["sentence"].endswith("; no record of it")


def test_a_record_that_comes_late_takes_the_finding_back_and_says_so(here):
    here.comes(listening(), ENTRY)
    here.passes(60)
    here.comes(said())
    assert here.record["status"] == "recorded"
    assert "came 60.0 s after the visit" in here.record["reason"]
    (alert,) = here.made.rows(alerts)
    assert alert["state"] == "false_positive"
    assert alert["sentence"].endswith("; recorded by docker")
    assert [each["action"] for each in here.made.rows(alert_history)] == ["raised", "withdrawn"]
    (finding,) = here.made.rows(findings)
    assert finding["reason"].startswith("taken back: recorded by docker")


def test_how_late_a_source_is_lengthens_the_next_wait(here):
    here.comes(listening(), ENTRY)
    here.passes(20)
    here.comes(said())
    other = event("docker-exec", 3, exec_id="f" * 64, session=f"{HOST}/b1/3")
    here.comes(other)
    here.passes(60)
    rows = {row["session"]: row["status"] for row in here.made.rows(attributions)}
    assert rows[other["session"]] == "awaited"
    here.passes(10)
    rows = {row["session"]: row["status"] for row in here.made.rows(attributions)}
    assert rows[other["session"]] == "unrecorded"


def test_nsenter_has_no_record_however_alike_a_docker_exec_is(here):
    visit = event("ns-join", 4, process__argv=ENTRY["process"]["argv"], session=f"{HOST}/b1/4")
    here.comes(listening(), said(), ENTRY, visit)
    rows = {row["session"]: row["status"] for row in here.made.rows(attributions)}
    assert rows == {ENTRY["session"]: "recorded", visit["session"]: "unrecorded"}
    (alert,) = here.made.rows(alerts)
    assert (alert["session"], alert["severity"]) == (visit["session"], 2)


def test_no_verdict_where_nobody_listened_or_the_source_was_away(here):
    here.comes(ENTRY)
    assert here.record["status"] == "unchecked"
    away = listening("source_away", ENTRY["time"] - 1)
    other = event("docker-exec", 3, exec_id="f" * 64, session=f"{HOST}/b1/3")
    here.comes(listening(), away, other)
    here.passes(200)
    assert {row["status"] for row in here.made.rows(attributions)} == {"unchecked"}
    assert here.made.rows(alerts) == []


def test_a_source_that_is_read_on_from_where_it_was_has_no_gap_and_one_that_forgot_has(here):
    here.comes(listening(), listening("source_away", ENTRY["time"] - 9), ENTRY)
    here.comes(listening("source_up", ENTRY["time"] + 9, why="7"))
    here.passes(200)
    assert here.record["status"] == "unrecorded"


def test_after_a_gap_there_is_no_verdict(here):
    here.comes(listening(), listening("source_away", ENTRY["time"] - 9), ENTRY)
    here.comes(
        listening("source_up", ENTRY["time"] + 9, why="7"), listening("source_gap", ENTRY["time"] + 10)
    )
    here.passes(200)
    assert here.record["status"] == "unchecked"


def test_what_turns_out_to_be_a_health_check_wants_no_record(here):
    here.comes(listening(), ENTRY | {"missing": {"means": "pending"}})
    here.comes(event("update", 9, means="probe") | {"target": ENTRY["id"]})
    here.passes(200)
    assert here.made.rows(attributions) == []
    assert here.made.rows(alerts) == []


def test_a_restarted_controller_goes_on_waiting(here):
    here.comes(listening(), ENTRY)
    here.another()
    here.passes(200)
    assert here.record["status"] == "unrecorded"


EVENTS = (listening(), said("exec_create"), said(), said("exec_die", code=0), ENTRY)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(EVENTS))),
    again=st.lists(st.integers(1, 3), max_size=3),
    cuts=st.sets(st.integers(1, 6)),
    pause=st.integers(0, 300),
)
def test_whatever_the_order_the_repetition_and_the_delay_the_visit_ends_recorded(
    tmp_path_factory, order, again, cuts, pause
):
    came = [EVENTS[index] for index in order]
    came += [EVENTS[index] | {"id": f"{HOST}/b1/{next(_numbers)}"} for index in again]
    with collector(tmp_path_factory.mktemp("any")) as made:
        here = Here(made)
        for at, one in enumerate(came):
            here.comes(one)
            if at in cuts:
                here.passes(pause)
                here.another()
        here.passes(400)
        assert (here.record["status"], here.record["confidence"]) == ("recorded", "exact")
        assert all(alert["state"] == "false_positive" for alert in made.rows(alerts))
        (row,) = made.rows(attributions)
        assert row["due"] is None
        assert join.RANKS[row["confidence"]] == 0
