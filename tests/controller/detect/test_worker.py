# SPDX-License-Identifier: Apache-2.0
"""What the bus brings is projected and judged once, whatever dies or repeats in between."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from controller.detect import alerts as merging
from controller.detect import catalogue
from controller.detect.engine import Engine
from controller.detect.rule import Finding, Severity
from controller.detect.worker import CURSOR, Worker
from controller.store import alert_rows, cursors, project, schema, triage
from controller.store.engine import StoreError
from controller.store.schema import alert_history, alerts, counters, entries, findings, sessions
from tests.controller.detect.building import always, collector, command, detection, event


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield made


def worker(here, *rules, batch=100):
    detections = [detection(rule, f"rule{number}", f"Rule {number}") for number, rule in enumerate(rules)]
    return Worker(here.store, here.bus, Engine(detections), batch=batch, clock=lambda: 42)


def drain(made):
    while made.run_once():
        pass


def state(here):
    """All that detection made, without the row numbers, which a replay may not keep."""
    rows = {table.name: here.rows(table) for table in (entries, sessions, alerts, findings, alert_history)}
    for row in rows["findings"] + rows["alert_history"]:
        del row["id"]
    return {name: sorted(map(repr, found)) for name, found in rows.items()}


def on(program, severity=Severity.HIGH):
    """A rule that fires on a command of this name."""
    return lambda visit, event: (
        Finding(severity, program, ("process.argv",))
        if (event["process"]["argv"] or [""])[0] == program
        else None
    )


VISIT = (
    event("docker-exec"),
    *(command(number, name) for number, name in enumerate(("id", "ps", "curl"), 2)),
)


def test_a_visit_becomes_one_alert_with_all_its_findings(here):
    here.take_in(*VISIT)
    made = worker(here, always(Severity.LOW), on("curl"))
    assert made.run_once() == len(VISIT)
    assert made.run_once() == 0
    (alert,) = here.rows(alerts)
    assert alert["severity"] == Severity.HIGH
    assert alert["title"] == "Rule 1: web"
    assert alert["events"] == len(VISIT)
    assert alert["sentence"].endswith("ran /bin/sleep 2 and 3 more commands; record not checked")
    assert {(each["detection"], each["event"]) for each in here.rows(findings)} == {
        *(("rule0", each["id"]) for each in VISIT),
        ("rule1", VISIT[-1]["id"]),
    }
    assert [each["action"] for each in here.rows(alert_history)] == ["raised", "escalated"]


def test_events_may_come_in_any_number_of_batches(here, tmp_path):
    """One at a time, or all at once: the same alert."""
    here.take_in(*VISIT)
    drain(worker(here, always(), on("curl")))
    (tmp_path / "other").mkdir()
    with collector(tmp_path / "other") as other:
        for each in VISIT:
            other.take_in(each)
            drain(worker(other, always(), on("curl"), batch=1))  # a new worker each time: nothing in memory
        assert state(other) == state(here)


def test_a_replay_from_the_beginning_changes_nothing(here):
    here.take_in(*VISIT, event("update", 5, container__name="shop"))
    drain(worker(here, always(), on("curl")))
    before = state(here)
    here.store.write(lambda connection: cursors.advance(connection, CURSOR, 0))
    drain(worker(here, always(), on("curl")))
    assert state(here) == before


DYING = """
import os, sys
from pathlib import Path
from tests.controller.detect import building, test_worker

def dies(visit, event):
    if event["id"] == sys.argv[2]:
        os._exit(9)  # as by SIGKILL: no handler, no rollback, no close

with building.collector(Path(sys.argv[1])) as here:
    test_worker.drain(test_worker.worker(here, building.always(), test_worker.on("curl"), dies, batch=2))
"""


@pytest.mark.parametrize("dies_at", [each["id"] for each in VISIT])
def test_a_worker_that_is_killed_is_continued_by_the_next(tmp_path, dies_at):
    """The transaction that was under way leaves nothing, and nothing is done twice."""
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        with collector(tmp_path / name) as made:
            made.take_in(*VISIT)
    line = [sys.executable, "-c", DYING, str(tmp_path / "killed"), dies_at]
    assert subprocess.run(line, check=False, timeout=60).returncode == 9
    states = []
    for name in ("killed", "whole"):
        with collector(tmp_path / name) as made:
            drain(worker(made, always(), on("curl"), batch=2))
            states.append(state(made))
    assert states[0] == states[1]


def test_a_rule_that_raises_costs_its_own_finding_only(here, caplog):
    def raises(visit, event):
        raise ZeroDivisionError

    here.take_in(*VISIT)
    drain(worker(here, raises, on("curl")))
    assert [each["detection"] for each in here.rows(findings)] == ["rule1"]
    counted = {each["name"]: each["value"] for each in here.rows(counters)}
    assert counted["detect.rule0.errors"] == counted["detect.rule0.evaluations"] == len(VISIT)
    assert counted["detect.rule1.findings"] == 1


def test_an_event_that_cannot_be_dealt_with_is_passed_by_and_counted(here, monkeypatch, caplog):
    """It would stop everything behind it; it stays in the events table."""

    def apply_all(connection, told, real=project.apply_all):
        real(connection, told)
        if any(event["id"] == VISIT[1]["id"] for _, event in told):
            raise KeyError("a field that we did not expect to be missing")

    monkeypatch.setattr(project, "apply_all", apply_all)
    here.take_in(*VISIT)
    drain(worker(here, on("curl"), on("id")))
    assert [each["detection"] for each in here.rows(findings)] == ["rule0"]
    counted = {each["name"]: each["value"] for each in here.rows(counters)}
    assert counted["detect.events_failed"] == 1
    assert counted["detect.rule0.evaluations"] == len(VISIT) - 1, "the batch was undone: nothing counts twice"
    assert VISIT[1]["id"] in caplog.text


def test_an_update_makes_the_words_right_and_is_judged(here):
    """A name that was pending comes later: title, sentence and columns follow, and the history says so."""

    def configured(visit, event):
        user = visit.entry["container"]["user"]
        return None if user is None else Finding(Severity.MEDIUM if user else Severity.LOW, f"user {user!r}")

    unknown = {"container__name": None, "container__image": None}
    here.take_in(event("docker-exec", missing={"container.name": "pending"}, **unknown))
    made = worker(here, configured)
    drain(made)
    assert here.rows(alerts)[0]["title"] == "Rule 0: 2697507b5ad9"
    here.take_in(
        event("update", 2, container__name="web", container__image="busybox:demo", container__user="app")
    )
    drain(made)
    (alert,) = here.rows(alerts)
    assert (alert["title"], alert["container_name"], alert["severity"]) == ("Rule 0: web", "web", 2)
    assert "container web (image busybox:demo)" in alert["sentence"]
    assert [each["reason"] for each in here.rows(findings)] == ["user 'app'"]
    history = [(each["action"], each["detail"]) for each in here.rows(alert_history)]
    assert [action for action, _ in history] == ["raised", "escalated", "entry_completed"]
    assert "container.name" in history[-1][1]["learned"]


def test_an_update_of_a_command_is_judged_with_the_visit_as_it_was(here):
    seen = []

    def rule(visit, event):
        seen.append((event["id"], event["process"]["argv"], len(visit.executions)))

    here.take_in(event("docker-exec"), event("command", 2, process__argv=None), command(3, "y"))
    made = worker(here, rule)
    drain(made)
    seen.clear()
    here.take_in(event("update", 4, process__argv=["curl"]) | {"target": "h1/b1/2"})
    drain(made)
    assert seen == [
        ("h1/b1/1", ["/bin/sleep", "2"], 1),
        ("h1/b1/2", ["curl"], 2),
        ("h1/b1/3", ["y"], 3),
    ]


def test_an_update_of_something_that_is_not_there_is_nothing(here):
    here.take_in(event("update", 9, container__name="web") | {"target": "h1/b1/77"})
    drain(worker(here, always()))
    assert here.rows(alerts) == []


def test_an_attempt_is_a_visit_too(here):
    here.take_in(event("attempt"))
    drain(worker(here, always()))
    assert "executed nothing" in here.rows(alerts)[0]["sentence"]


def configured_rule():
    risky = next(each for each in catalogue.load_all()[0] if each.id == "risky_start")
    return risky.rule


def test_a_container_that_restarts_again_and_again_has_one_alert_without_a_visit(here):
    alone = replace(detection(configured_rule()), kinds=frozenset({"configuration"}))
    risky = [event("configuration", number, settings__privileged=True) for number in (1, 2, 3)]
    here.take_in(*risky, event("docker-exec", 4))
    drain(Worker(here.store, here.bus, Engine([alone])))
    (alert,) = here.rows(alerts)
    assert (alert["means"], alert["container_name"]) == ("none", "web")
    assert alert["sentence"].endswith("on node1 was started: it is privileged; who did it is not known")
    assert alert["first_seen"] < alert["last_seen"]
    assert len(here.rows(findings)) == 3


def contacting():
    return replace(detection(always()), kinds=frozenset({"contact"}))


def test_a_container_that_talks_to_a_daemon_has_one_alert_which_keeps_a_bounded_number(here):
    here.take_in(*(event("contact", number) for number in range(1, 101)))
    drain(Worker(here.store, here.bus, Engine([contacting()])))
    (alert,) = here.rows(alerts)
    assert (alert["means"], alert["container_name"]) == ("none", "web")
    assert "on node1 connected to docker's socket /run/docker.sock by running curl" in alert["sentence"]
    assert len(here.rows(findings)) == 64


def test_a_contact_of_a_visit_is_part_of_it(here):
    here.take_in(event("docker-exec"), event("contact", 2, session="h1/b1/1"))
    drain(Worker(here.store, here.bus, Engine([contacting()])))
    (alert,) = here.rows(alerts)
    assert (alert["session"], alert["events"], alert["means"]) == ("h1/b1/1", 2, "docker-exec")


def test_a_contact_of_the_host_is_kept_and_judged_by_nobody(here):
    here.take_in(event("contact", container=None))
    drain(Worker(here.store, here.bus, Engine([contacting()])))
    assert here.rows(alerts) == []
    assert len(here.rows(schema.events)) == 1


def test_a_container_whose_name_is_learned_after_its_contact_is_called_by_it(here):
    here.take_in(event("contact", container__name=None))
    made = Worker(here.store, here.bus, Engine([contacting()]))
    drain(made)
    here.take_in(event("update", 2, container__name="shop"))
    drain(made)
    assert here.rows(alerts)[0]["container_name"] == "shop"


def test_a_rule_is_not_asked_about_what_it_did_not_name(here):
    here.take_in(event("configuration"))
    drain(worker(here, always()))
    assert here.rows(alerts) == []


def test_commands_whose_entry_was_lost_still_raise_an_alert(here):
    here.take_in(command(2, "curl"))
    drain(worker(here, on("curl")))
    (alert,) = here.rows(alerts)
    assert (alert["means"], alert["container"]) == ("unknown", None)


def test_a_health_check_does_not_alert_by_itself(here):
    here.take_in(event("docker-exec", means="probe"), command(2, "wget"))
    made = worker(here, always(Severity.MEDIUM))
    drain(made)
    assert here.rows(alerts) == []
    drain(worker(here, on("token")))
    here.take_in(command(3, "token"))
    drain(worker(here, on("token")))
    assert len(here.rows(alerts)) == 1


def test_a_closed_alert_whose_visit_goes_on_is_marked_and_reopened_only_by_something_graver(here):
    made = worker(here, always(Severity.LOW), on("curl"))
    here.take_in(event("docker-exec"))
    drain(made)
    identity = here.rows(alerts)[0]["id"]
    here.store.write(
        lambda connection: triage.set_state(connection, identity, "benign_true_positive", "ada", "ticket", 43)
    )
    here.take_in(command(2, "id"), command(3, "id"))
    drain(made)
    assert here.rows(alerts)[0]["state"] == "benign_true_positive"
    assert [each["action"] for each in here.rows(alert_history)] == ["raised", "state", "regressed"]
    here.take_in(command(4, "curl"))
    drain(made)
    assert here.rows(alerts)[0]["state"] == "new"
    assert here.rows(alert_history)[-1]["action"] == "reopened"


def test_a_loop_inside_a_visit_does_not_flood_its_alert(here):
    many = [command(number, "curl") for number in range(2, 202)]
    here.take_in(event("docker-exec"), *many)
    drain(worker(here, on("curl")))
    assert len(here.rows(findings)) == merging.MAX_PER_DETECTION
    assert here.rows(alerts)[0]["events"] == 201
    counted = {each["name"]: each["value"] for each in here.rows(counters)}
    assert counted["detect.findings_left_out"] == 200 - merging.MAX_PER_DETECTION


def test_two_visits_are_two_alerts(here):
    here.take_in(event("docker-exec"), event("docker-exec", 2, session="h1/b1/2"))
    drain(worker(here, always()))
    assert {each["session"] for each in here.rows(alerts)} == {"h1/b1/1", "h1/b1/2"}
    assert {each["id"] for each in here.rows(alerts)} == {
        alert_rows.alert_id("h1/b1/1"),
        alert_rows.alert_id("h1/b1/2"),
    }


def test_it_follows_the_bus_until_it_is_stopped(here):
    made = worker(here, always())
    assert not made.alive()
    made.start()
    here.take_in(event("docker-exec"))
    while not here.rows(alerts):
        assert made.alive()
    made.stop()
    made.stop()
    assert not made.alive()


def test_what_the_database_does_not_take_is_tried_again(here, monkeypatch, caplog):
    """The pause grows and ends; nothing is skipped."""
    here.take_in(event("docker-exec"))
    made = worker(here, always())
    real, tries = here.store.write, []

    def write(work):
        tries.append(1)
        if len(tries) < 3:
            raise StoreError("the database did not take a write: disk full")
        return real(work)

    monkeypatch.setattr(here.store, "write", write)
    made.start()
    while not here.rows(alerts):
        assert made.alive()
    made.stop()
    assert made.failed_batches == 2
    assert "disk full" in caplog.text


def test_two_workers_never_deal_with_the_same_events(here):
    """The second finds that the cursor has moved and does nothing."""
    here.take_in(*VISIT)
    first, second = worker(here, always()), worker(here, always())
    deliveries = here.bus.read(0, 100)
    assert here.store.write(lambda connection: first._work(connection, 0, deliveries)) == len(VISIT)
    assert here.store.write(lambda connection: second._work(connection, 0, deliveries)) == 0
