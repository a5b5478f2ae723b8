# SPDX-License-Identifier: Apache-2.0
"""A visit whose means is still to be told is judged when it is told, or when it took too long: once."""

import pytest

from controller.detect import held
from controller.detect.engine import Engine
from controller.detect.rule import Severity
from controller.detect.worker import Worker
from controller.store import cursors
from controller.store.schema import alerts
from tests.controller.detect.building import always, collector, command, detection, event

PENDING = event("docker-exec", 1) | {"missing": {"means": "pending"}}
PROBE = event("update", 9, means="probe")
PERSON = event("update", 9, means="docker-exec")


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield made


class Clock:
    def __init__(self):
        self.now = 1

    def __call__(self):
        return self.now


def worker(here, clock):
    return Worker(here.store, here.bus, Engine([detection(always(Severity.HIGH))]), clock=clock)


def step(made):
    while made.run_once():
        pass


def test_nothing_is_raised_on_a_visit_that_turns_out_to_be_a_probe(here):
    clock = Clock()
    made = worker(here, clock)
    here.take_in(PENDING)
    step(made)
    here.take_in(PROBE)
    step(made)
    clock.now += 2 * held.HOLD_NS
    step(made)
    assert here.rows(alerts) == []


def test_a_visit_that_turns_out_to_be_a_persons_is_an_alert_with_all_of_it(here):
    made = worker(here, Clock())
    here.take_in(PENDING, command(2, "id"))
    step(made)
    assert here.rows(alerts) == []
    here.take_in(PERSON)
    step(made)
    (alert,) = here.rows(alerts)
    assert (alert["means"], alert["events"]) == ("docker-exec", 2)


def test_the_alert_is_not_lost_when_the_update_never_comes(here):
    clock = Clock()
    made = worker(here, clock)
    here.take_in(PENDING)
    step(made)
    clock.now += held.HOLD_NS
    step(made)
    assert len(here.rows(alerts)) == 1
    here.take_in(command(2, "id"))
    step(made)
    (alert,) = here.rows(alerts)
    assert alert["events"] == 2


def test_a_worker_that_begins_again_holds_the_same_visits(here):
    clock = Clock()
    here.take_in(event("docker-exec", 20, session="h1/b1/20") | {"session": "h1/b1/20"}, PENDING)
    step(worker(here, clock))
    assert len(here.rows(alerts)) == 1
    again = worker(here, clock)
    step(again)
    assert len(here.rows(alerts)) == 1
    clock.now += held.HOLD_NS
    step(again)
    assert len(here.rows(alerts)) == 2
    with here.store.read() as connection:
        assert cursors.position(connection, held.CURSOR) == 0


def test_more_than_can_wait_is_judged_at_once(monkeypatch):
    monkeypatch.setattr(held, "MAX_HELD", 1)
    made = held.Held()
    assert made.holds("a", PENDING, 1, 0)
    assert not made.holds("b", PENDING, 2, 0)
    assert made.holds("a", PENDING, 3, 0)
