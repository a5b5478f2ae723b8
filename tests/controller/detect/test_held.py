# SPDX-License-Identifier: Apache-2.0
"""A visit whose means is still to be told is judged when it is told, or when it took too long: once."""

import pytest

from controller.detect import held
from controller.detect.engine import Engine
from controller.detect.rule import Severity
from controller.detect.worker import Worker
from controller.store import cursors, triage
from controller.store.schema import alert_history, alerts
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


def withdrawn(here, *more, clock=None):
    """A visit that was judged because the word that it is a probe came too late, and what came with that word."""
    clock = clock or Clock()
    made = worker(here, clock)
    here.take_in(PENDING, *more)
    step(made)
    clock.now += 2 * held.HOLD_NS
    step(made)
    assert len(here.rows(alerts)) == 1
    return made


def actions(here):
    return [each["action"] for each in here.rows(alert_history)]


def test_the_word_that_it_was_a_probe_withdraws_the_alert_when_it_comes_late(here):
    made = withdrawn(here)
    here.take_in(PROBE)
    step(made)
    (alert,) = here.rows(alerts)
    assert (alert["state"], alert["means"]) == ("false_positive", "probe")
    assert "health check" in alert["close_reason"]
    assert actions(here) == ["raised", "entry_completed", "withdrawn"]
    here.take_in(event("update", 10, means="probe"))
    step(made)
    assert actions(here).count("withdrawn") == 1


def test_an_alert_that_has_more_than_the_check_stays(here):
    made = withdrawn(here, command(2, "nc", "-e", "sh"))
    here.take_in(PROBE)
    step(made)
    assert here.rows(alerts)[0]["state"] == "new"
    assert "withdrawn" not in actions(here)


def test_what_is_found_later_opens_a_withdrawn_alert_again(here):
    made = withdrawn(here)
    here.take_in(PROBE)
    step(made)
    here.take_in(command(11, "nc", "-e", "sh"))
    step(made)
    (alert,) = here.rows(alerts)
    assert (alert["state"], alert["close_reason"]) == ("new", None)
    assert actions(here)[-1] == "reopened"


def test_an_alert_that_a_person_took_up_is_not_closed(here):
    made = withdrawn(here)
    (alert,) = here.rows(alerts)
    here.store.write(
        lambda connection: triage.set_state(connection, alert["id"], "investigating", "ada", None, 5)
    )
    here.take_in(PROBE)
    step(made)
    assert here.rows(alerts)[0]["state"] == "investigating"
    assert actions(here)[-1] == "withdrawn"
