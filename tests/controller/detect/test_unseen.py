# SPDX-License-Identifier: Apache-2.0
"""Records whose entry is late or never comes: the cause by evidence, the alert, and its correction."""

from __future__ import annotations

import itertools

import pytest

from controller.detect import catalogue
from controller.detect.engine import Engine
from controller.detect.unseen import Evidence, explain
from controller.detect.worker import Worker
from controller.store import counters, hearing, hosts
from controller.store.schema import alert_history, alerts, findings
from controller.store.unseen_table import unseen
from tests.controller import make
from tests.controller.detect.building import HOST, collector, event

ID = "e" * 64
ENTRY = event("docker-exec", 2, exec_id=ID)
CONTAINER = ENTRY["container"]["id"]
_numbers = itertools.count(100)


def said(action="exec_start", exec_id=ID, **more):
    number = next(_numbers)
    base = {"id": f"{HOST}/b1/{number}", "time": ENTRY["time"], "key": f"{number:032x}"}
    return {**make.record(1, action), **base, "container_id": CONTAINER, "exec_id": exec_id, **more}


def note(action, after=-(10**12), **more):
    number = next(_numbers)
    return {
        **make.agent(1, action=action),
        "id": f"{HOST}/b1/{number}",
        "time": ENTRY["time"] + after,
        **more,
    }


def loss(cause, count=3):
    number = next(_numbers)
    head = {"id": f"{HOST}/b1/{number}", "time": ENTRY["time"] + 10**9, "mono": 1}
    return {**head, "kind": "loss", "cause": cause, "count": count}


class Here:
    def __init__(self, made):
        self.made, self.now = made, 10**9
        self.again()

    def again(self):
        rules = ("record_without_entry", "files_copied", "attach")
        engine = Engine([catalogue.load(catalogue.BUILT_IN / name) for name in rules])
        self.worker = Worker(self.made.store, self.made.bus, engine, clock=lambda: self.now)

    def comes(self, *events):
        self.made.take_in(*events)
        while self.worker.run_once():
            pass

    def passes(self, seconds):
        self.now += seconds * 10**9
        for _ in range(3):
            self.worker.run_once()

    @property
    def row(self):
        (row,) = self.made.rows(unseen)
        return row

    @property
    def alert(self):
        (alert,) = self.made.rows(alerts)
        return alert


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield Here(made)


def test_an_exec_that_was_seen_leaves_nothing(here):
    here.comes(note("started"), said("exec_create"), said(), ENTRY, said("exec_die", code=0))
    here.passes(10)
    assert here.made.rows(unseen) == here.made.rows(alerts) == []


def test_how_a_source_is_heard_is_learned_and_said_of_its_host(here):
    at = ENTRY["time"]
    of_it = {"container_id": None, "exec_id": None}
    up = said("source_up", **of_it, time=at - 10**9)
    here.comes(up, said(read=at + 5 * 10**7), said(read=at - 3 * 10**9))
    here.comes(said(time=at - 600 * 10**9, read=at))  # of before it was up: late for that reason
    with here.made.store.read() as connection:
        (amiss,) = hearing.of_hosts(connection, at).values()
    assert amiss == ["the clock of docker at /run/docker.sock is 3.0 s ahead of its host's"]
    here.comes(said("source_gap", **of_it, time=at, detail={"why": "lost"}), said(read=at + 90 * 10**9))
    with here.made.store.read() as connection:
        (host,) = [each for each in hosts.list_(connection) if each["id"] == HOST]
        later = hearing.of_hosts(connection, at + 2 * hearing.FRESH_NS)
        soon = hearing.of_hosts(connection, at)
    told = " ".join(later[HOST])
    assert "90 s late, or its clock is behind" in told
    assert "was missed" not in told
    assert "was missed" in " ".join(soon[HOST])
    assert len(host["sources_amiss"]) >= 2


def test_a_health_check_has_an_entry_though_no_attribution(here):
    here.comes(note("started"), said(), {**ENTRY, "means": "probe"})
    here.passes(10)
    assert here.made.rows(unseen) == []


def test_an_exec_that_ended_and_was_not_seen_is_an_alert_once_its_time_is_up(here):
    here.comes(note("started"), event("activity", 3), said(), said("exec_die", code=0))
    here.passes(4)
    assert here.made.rows(alerts) == []
    here.passes(2)
    assert (here.row["status"], here.row["cause"]) == ("unseen", "unexplained")
    assert here.alert["severity"] == 3
    assert "no entry was seen: the sensor ran, lost nothing" in here.alert["sentence"]


def test_an_entry_that_comes_later_takes_the_finding_back_and_says_so(here):
    here.comes(note("started"), said(), said("exec_die", code=0))
    here.passes(30)
    here.comes(ENTRY)
    assert here.row["status"] == "seen"
    assert here.alert["state"] == "false_positive"
    assert [each["action"] for each in here.made.rows(alert_history)] == ["raised", "withdrawn"]
    (finding,) = here.made.rows(findings)
    assert "its entry came 30.0 s after the record" in finding["reason"]


def test_of_two_that_were_not_seen_one_is_corrected_and_the_other_stands(here):
    here.comes(note("started"), said(), said("exec_die", code=0))
    here.comes(said(exec_id="f" * 64), said("exec_die", exec_id="f" * 64, code=0))
    here.passes(30)
    here.comes(ENTRY)
    assert here.alert["state"] == "new"
    (finding,) = here.made.rows(findings)
    assert finding["fields"]["exec_id"] == "f" * 64
    assert [each["action"] for each in here.made.rows(alert_history)] == ["raised", "taken_back"]


def test_what_waits_is_judged_after_a_restart_of_the_controller(here):
    here.comes(note("started"), said(), said("exec_die", code=0))
    here.again()
    here.passes(10)
    assert here.row["status"] == "unseen"


def test_an_exec_that_failed_is_no_blind_spot_and_is_counted(here):
    here.comes(note("started"), said(), said("exec_die", code=127))
    here.passes(10)
    assert (here.row["status"], here.made.rows(alerts)) == ("failed", [])
    with here.made.store.read() as connection:
        assert counters.all_(connection, "coverage.") == {"coverage.failed": 1}


def test_what_was_said_before_the_host_had_a_sensor_is_no_blind_spot(here):
    here.comes(note("started", after=10**9), said())
    here.passes(10)
    assert here.made.rows(unseen) == []


def test_losses_within_the_minute_are_the_likely_cause(here):
    here.comes(note("started"), said(), said("exec_die", code=0), loss("kernel.lost.ring"))
    here.passes(10)
    assert here.row["cause"] == "lost"
    assert "kernel.lost.ring 3" in here.row["reason"]


AT = ENTRY["time"]
GAP = note("gap", after=10, since=AT - 10)


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (Evidence(AT, runtime="io.containerd.runsc.v1"), "sandboxed"),
        (Evidence(AT, runtime="kata-fc", codes=frozenset({0})), "sandboxed"),
        (Evidence(AT, runtime="runc", codes=frozenset({0})), "unexplained"),
        (Evidence(AT, runtime="runsc", codes=frozenset({126})), "failed"),
        (Evidence(AT, notes=[GAP]), "sensor_down"),
        (Evidence(AT, codes=frozenset({0}), notes=[{**GAP, "recorded": True}]), "unexplained"),
        (Evidence(AT, notes=[note("started"), note("stopped", after=-5)]), "sensor_down"),
        (Evidence(AT, notes=[note("started"), note("blind", after=-5, reason="setns")]), "hooks"),
        (Evidence(AT, pids=frozenset({7}), notes=[note("blind"), note("mended", after=-5)]), "unexplained"),
        (Evidence(AT, notes=[note("started"), note("hooks", after=10**9)]), "hooks"),
        (Evidence(AT), "not_started"),
    ],
)
def test_the_cause_is_what_the_evidence_supports_first(evidence, cause):
    assert explain(evidence)[0] == cause


def test_copies_are_alerts_of_their_own_each_way(here):
    here.comes(
        said("start", exec_id=None, time=AT - 9),
        said("copy_in", exec_id=None),
        said("copy_out", exec_id=None),
    )
    assert [(each["detection"], each["severity"]) for each in here.made.rows(findings)] == [
        ("files_copied", 2)
    ] * 2
    assert "files copied" in here.alert["sentence"]


def test_podman_run_attaches_right_after_the_start_and_that_is_no_alert(here):
    podman = {"exec_id": None, "source": "podman"}
    here.comes(said("start", time=AT, **podman), said("attach", time=AT + 10**6, **podman))
    assert here.made.rows(alerts) == []
    here.comes(said("attach", time=AT + 5 * 10**9, **podman))
    assert here.alert["title"].startswith("Attached to a running container")


def test_docker_run_attaches_before_the_start_and_that_is_no_alert(here):
    here.comes(said("create", exec_id=None, time=AT - 9), said("attach", exec_id=None))
    assert here.made.rows(alerts) == []
    here.comes(said("start", exec_id=None, time=AT + 9), said("attach", exec_id=None, time=AT + 99))
    assert here.alert["title"].startswith("Attached to a running container")


def test_podmans_exec_without_a_name_is_unseen_unless_somebody_came_in_just_then(here):
    nameless = {"exec_id": None, "source": "podman", "command": None}
    began = said(**nameless)
    here.comes(began, said("exec_die", code=0, **{**nameless, "time": began["time"] + 10**8}))
    here.passes(10)
    assert (here.row["status"], here.row["exec_id"]) == ("unseen", None)
    here.comes(event("docker-exec", 2, means="podman-exec", exec_id=ID, time=began["time"] + 3 * 10**8))
    assert here.row["status"] == "seen"


def test_podmans_exec_without_a_name_whose_entry_is_there_is_seen(here):
    began = said(exec_id=None, source="podman", command=None)
    here.comes(event("docker-exec", 2, means="podman-exec", exec_id=ID, time=began["time"] + 10**8), began)
    here.passes(10)
    assert here.made.rows(unseen) == []


def test_an_exec_that_the_end_of_its_container_cut_off_is_no_blind_spot(here):
    began = said()
    here.comes(note("started"), event("activity", 3), began, said("exec_die", code=137))
    here.comes(said("die", exec_id=None, time=began["time"] + 10**8))
    here.passes(10)
    assert (here.row["status"], here.row["cause"]) == ("failed", "failed")
    assert here.made.rows(alerts) == []
