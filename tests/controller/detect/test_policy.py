# SPDX-License-Identifier: Apache-2.0
"""What operators said decides what is alerted, and nothing that was found is ever gone."""

from __future__ import annotations

import pytest

from controller.detect.engine import Engine
from controller.detect.rule import Finding, Severity
from controller.detect.worker import Worker
from controller.policy.knobs import KnobError
from controller.store import alerts as reads
from controller.store import approvals, audit, exceptions, knobs, sessions, triage
from controller.store.alert_rows import alert_id
from controller.store.policy_schema import audit as audit_table
from controller.store.policy_schema import withheld
from controller.store.schema import alerts, findings
from tests.controller.detect.building import collector, command, detection, event

NOW = 1764000000 * 10**9
SECOND = 10**9
SESSION = "h1/b1/1"
DAY = 86_400 * SECOND
JANE = {"login": {"uid": 1000, "user": "jane", "session": 4}}


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        made.clock = Clock()
        yield made


@pytest.fixture
def worker(here):
    """Fires on each entry, escape and command: low, and high on curl."""

    def rule(visit, event):
        argv = (event.get("process") or {}).get("argv") or [""]
        return Finding(Severity.HIGH if argv[0] == "curl" else Severity.LOW, f"ran {argv[0]}")

    return Worker(here.store, here.bus, Engine([detection(rule, "ran", "Ran")]), clock=here.clock)


def drain(worker):
    while worker.run_once():
        pass


def except_(here, text, name="quiet", expires=NOW + DAY, detection=None):
    wanted = exceptions.Wanted(text, detection)
    here.store.write(
        lambda connection: exceptions.add(
            connection, name, wanted, author="ada", reason="known", expires=expires, now=NOW
        )
    )


def approve(here, until=NOW + 600 * SECOND, **more):
    window = {"principal": "jane", "container": "web", "change": "4711", "until_ns": until} | more
    return here.store.write(
        lambda connection: approvals.add(connection, {"begins_ns": NOW - DAY, **window}, "ada", NOW - DAY)
    )


def visit(here):
    with here.store.read() as connection:
        return sessions.show(connection, SESSION)


def found(here):
    """What is alerted and what is withheld, by the number of the event."""
    return (
        sorted(row["event"].rpartition("/")[2] for row in here.rows(findings)),
        sorted((row["event"].rpartition("/")[2], row["because"], row["name"]) for row in here.rows(withheld)),
    )


def test_an_excepted_finding_is_kept_with_the_name_and_not_alerted(here, worker):
    except_(here, 'process.argv contains "id"')
    here.take_in(event("docker-exec"), command(2, "id"), command(3, "curl"))
    drain(worker)

    assert found(here) == (["1", "3"], [("2", "exception", "quiet")])
    (kept,) = visit(here)["withheld"]
    assert (kept["name"], kept["reason"], kept["severity"]) == ("quiet", "ran id", "low")
    with here.store.read() as connection:
        assert exceptions.show(connection, "quiet", NOW)["findings"] == 1
        assert [each["name"] for each in reads.show(connection, alert_id(SESSION))["withheld"]] == ["quiet"]


def test_a_visit_with_nothing_else_has_no_alert(here, worker):
    except_(here, 'container.name == "web" and severity < "high"', detection="ran")
    here.take_in(event("docker-exec"), command(2, "id"))
    drain(worker)
    assert here.rows(alerts) == []
    assert len(visit(here)["withheld"]) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda here: except_(here, 'container.name == "web"', detection="other"),
        lambda here: except_(here, 'container.name == "web"', expires=NOW + 1),
        lambda here: (
            except_(here, 'container.name == "web"'),
            here.store.write(lambda connection: exceptions.remove(connection, "quiet", "ada", None, NOW)),
        ),
    ],
    ids=["of another detection", "expired", "removed"],
)
def test_an_exception_applies_only_to_its_detection_until_it_ends(here, worker, change):
    change(here)
    here.clock.now = NOW + 10
    here.take_in(event("docker-exec"))
    drain(worker)
    assert found(here) == (["1"], [])


def test_it_applies_at_once_while_the_worker_runs_and_what_was_alerted_stays(here, worker):
    here.take_in(event("docker-exec"))
    drain(worker)
    except_(here, 'host == "node1"')
    here.take_in(command(2, "id"))
    drain(worker)
    assert found(here) == (["1"], [("2", "exception", "quiet")])


def test_a_visit_within_a_window_is_recorded_shown_and_not_alerted(here, worker):
    number = approve(here)
    here.take_in(event("ns-join", **JANE), command(2, "curl"))
    drain(worker)

    assert found(here) == ([], [("1", "approval", str(number)), ("2", "approval", str(number))])
    shown = visit(here)["approval"]
    assert (shown["standing"], shown["change"]) == ("approved", "4711")
    assert shown["sentence"].startswith("jane may enter container web until ")


@pytest.mark.parametrize(
    ("window", "paths"),
    [
        ({}, {"login": None}),
        ({}, {"login": {"uid": 1001, "user": "joe", "session": 4}}),
        ({"container": "db*"}, JANE),
        ({"pod": "shop/*"}, JANE),
        ({"host": "node2"}, JANE),
        ({"means": ["docker-exec"]}, JANE),
        ({"begins_ns": NOW + SECOND}, JANE),
        ({"principal": "kubernetes:jane"}, JANE),
    ],
    ids=[
        "principal unknown",
        "somebody else",
        "container",
        "pod",
        "host",
        "means",
        "too early",
        "another jane",
    ],
)
def test_what_does_not_fit_is_not_approved(here, worker, window, paths):
    approve(here, **window)
    here.take_in(event("ns-join", **paths))
    drain(worker)
    assert found(here) == (["1"], [])
    assert visit(here)["approval"] is None


def test_a_visit_that_outlives_its_window_is_alerted_whole_and_says_so(here, worker):
    approve(here, until=NOW + 3)
    here.take_in(event("ns-join", **JANE), command(2, "id"))
    drain(worker)
    assert here.rows(alerts) == []
    here.take_in(command(5, "id"))  # 5 ns after NOW
    drain(worker)

    assert found(here) == (["1", "2", "5"], [])
    assert visit(here)["approval"]["standing"] == "outlived"
    with here.store.read() as connection:
        history = reads.show(connection, alert_id(SESSION))["history"]
    assert [step["action"] for step in history] == ["raised", "outlived"]


def test_one_that_only_stays_inside_is_found_by_the_clock(here, worker):
    approve(here, until=NOW + 3)
    here.take_in(event("ns-join", **JANE))
    drain(worker)
    here.clock.now = NOW + approvals.GRACE_NS + 4
    drain(worker)
    worker.run_once()
    assert found(here) == (["1"], [])
    assert visit(here)["approval"]["standing"] == "outlived"


def test_one_that_is_revoked_covers_nothing_that_goes_on(here, worker):
    number = approve(here)
    here.take_in(event("ns-join", **JANE))
    drain(worker)
    here.store.write(lambda connection: approvals.revoke(connection, number, "ada", "called off", NOW + 4))
    here.take_in(command(6, "id"))
    drain(worker)
    assert found(here) == (["1", "6"], [])


def test_out_to_the_host_is_alerted_all_the_same(here, worker):
    approve(here)
    here.take_in(event("ns-join", **JANE), event("escape", 2, session=SESSION))
    drain(worker)
    assert found(here)[0] == ["2"]


def test_a_principal_that_is_learned_late_closes_the_alert(here, worker):
    approve(here)
    here.take_in(event("ns-join", login=None))
    drain(worker)
    assert [row["state"] for row in here.rows(alerts)] == ["new"]
    here.take_in(event("update", 2, **JANE))
    drain(worker)

    (alert,) = here.rows(alerts)
    assert alert["state"] == "benign_true_positive"
    assert alert["close_reason"].startswith("approved: jane may enter")
    here.take_in(command(3, "curl"))
    drain(worker)
    assert here.rows(alerts)[0]["state"] == "benign_true_positive"


def test_a_worker_that_begins_again_knows_what_is_withheld(here, worker):
    except_(here, 'process.argv contains "id"')
    here.take_in(event("docker-exec"), command(2, "id"))
    drain(worker)
    again = Worker(here.store, here.bus, worker.engine, clock=here.clock)
    here.take_in(event("update", 3, container__user="app"))
    drain(again)
    assert found(here) == (["1"], [("2", "exception", "quiet")])


def test_a_refire_of_a_resolved_alert_is_marked(here, worker):
    here.take_in(event("docker-exec"))
    drain(worker)
    first = alert_id(SESSION)
    here.store.write(lambda c: triage.set_state(c, first, "false_positive", "ada", "known", NOW))
    here.take_in(event("docker-exec", 7, session="h1/b1/7"))
    drain(worker)

    with here.store.read() as connection:
        again = reads.show(connection, alert_id("h1/b1/7"))
    assert again["repeats"] | {"changed": "", "changed_ns": 0} == {
        "alert": first, "state": "false_positive", "reason": "known", "changed": "", "changed_ns": 0,
    }  # fmt: skip


def test_every_change_is_in_the_audit_log(here):
    except_(here, 'host == "node1"')
    number = approve(here)
    here.store.write(lambda c: exceptions.extend(c, "quiet", NOW + 2 * DAY, "bob", "still so", NOW))
    here.store.write(lambda c: exceptions.remove(c, "quiet", "bob", None, NOW))
    here.store.write(lambda c: approvals.revoke(c, number, "bob", None, NOW))
    here.store.write(lambda c: knobs.set_(c, "NamespaceScope", ["shop"], "bob", NOW))
    here.store.write(lambda c: knobs.unset(c, "NamespaceScope", "bob", NOW))
    with here.store.read() as connection:
        said = [(row["actor"], row["action"], row["object"]) for row in audit.list_(connection)][::-1]
    assert said == [
        ("ada", "exception.add", "quiet"),
        ("ada", "approval.add", str(number)),
        ("bob", "exception.extend", "quiet"),
        ("bob", "exception.remove", "quiet"),
        ("bob", "approval.revoke", str(number)),
        ("bob", "knob.set", "NamespaceScope"),
        ("bob", "knob.unset", "NamespaceScope"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Nonsense", ["x"]),
        ("ExecFrequencyThreshold", ["ten"]),
        ("ExecFrequencyThreshold", ["1/10m"]),
        ("SourceIPRange", ["10.0.0.1/8"]),
        ("NamespaceScope", []),
    ],
)
def test_a_knob_that_makes_no_sense_changes_nothing(here, name, value):
    with pytest.raises(KnobError):
        here.store.write(lambda c: knobs.set_(c, name, value, "ada", NOW))
    assert here.rows(audit_table) == []
