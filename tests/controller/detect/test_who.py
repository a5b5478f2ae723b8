# SPDX-License-Identifier: Apache-2.0
"""Who a visit was by, through the worker: late records, late names, restarts, and who is new where."""

from __future__ import annotations

import pytest

from controller.detect import catalogue
from controller.detect.engine import Engine
from controller.detect.worker import Worker
from controller.store import alerts, entries, sessions
from controller.store.acquaintances import LEARNING_NS
from controller.store.alerts import AlertFilter
from tests.controller.detect.building import HOST, collector, event
from tests.controller.detect.test_choosing import client
from tests.controller.make import record as saying

MS = 1_000_000


class Here:
    def __init__(self, made):
        self.made, self.now, self._number = made, 10**9, 10
        self.worker = self.another()

    def another(self):
        """A worker that begins anew, as after a restart of the controller."""
        engine = Engine([catalogue.load(catalogue.BUILT_IN / "new_principal")])
        self.worker = Worker(self.made.store, self.made.bus, engine, clock=lambda: self.now)
        return self.worker

    def comes(self, *events):
        self.made.take_in(*events)
        while self.worker.run_once():
            pass

    def visit(self, *clients, after=0, container=None, **more):
        """A visit comes, `after` nanoseconds after the first there is; its session."""
        self._number += 1
        base = event("docker-exec", self._number)
        made = {
            **base,
            "session": base["id"],
            "time": BEGIN + after,
            "process": {**base["process"], "argv": ["id"]},
            **more,
        }
        made |= {"clients": list(clients), "clients_unseen": None, "caller": None}
        made["container"] = {**made["container"], "name": "web", **(container or {})}
        self.comes(made)
        return made

    def who(self, visit):
        with self.made.store.read() as connection:
            return entries.show(connection, visit["id"])["principal"]

    def names(self, *visits):
        return [self.who(each)["name"] for each in visits]

    @property
    def alerts(self):
        with self.made.store.read() as connection:
            return alerts.list_(connection, order="newest")


BEGIN = event("docker-exec", 11)["time"]
JANE = ("docker", "exec", "web", "id")


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield Here(made)


def test_a_visit_says_who_it_was_in_lists_and_sentences_and_can_be_asked_for_by_name(here):
    visit = here.visit(client("jane", *JANE))
    here.visit(client("bob", *JANE), after=MS)
    assert here.who(visit)["confidence"] == "exact"
    with here.made.store.read() as connection:
        (row,) = sessions.list_(connection, sessions.SessionFilter(principal="jane"))
        (entry,) = entries.list_(connection, entries.EntryFilter(principal="jane"))
    assert row["principal"] == entry["principal"] == here.who(visit)
    assert entry["sentence"].startswith("jane (ssh from 10.0.0.10) on ")


def test_who_was_one_of_two_is_known_once_the_others_visit_is_seen(here):
    jane, bob = client("jane", *JANE, at=[BEGIN - MS]), client("bob", *JANE, at=[BEGIN - MS])
    first = here.visit(jane, bob)
    assert here.who(first)["candidates"] == ["bob (10.0.0.11:4000)", "jane (10.0.0.10:4000)"]
    second = here.visit(bob, after=50 * MS)
    assert here.names(first, second) == ["jane", "bob"]


def test_the_times_of_a_record_that_comes_late_tell_two_apart(here):
    jane = client("jane", *JANE, at=[BEGIN - 90 * MS, BEGIN - 80 * MS])
    bob = client("bob", *JANE, at=[BEGIN - 88 * MS, BEGIN - 10 * MS])
    visit = here.visit(jane, bob, exec_id="e1")
    assert here.names(visit) == [None]
    for number, (action, before) in enumerate({"exec_create": 81, "exec_start": 79}.items()):
        base = {"container_id": visit["container"]["id"], "exec_id": "e1", "time": BEGIN - before * MS}
        here.comes({**saying(1, action), "id": f"{HOST}/b1/{900 + number}", "key": f"{number:032x}", **base})
    assert here.names(visit) == ["jane"]


def test_a_tool_that_was_used_up_before_a_restart_stays_used_up(here):
    old = client("jane", *JANE)
    here.visit(old)
    here.another()
    late = here.visit(old, client("bob", *JANE), after=60_000 * MS)
    assert here.names(late) == ["bob"]


def test_a_container_whose_name_comes_late_names_its_visitor_late(here):
    visit = here.visit(
        client("jane", *JANE),
        client("bob", "docker", "exec", "db", "id"),
        container={"name": None},
        missing={"container.name": "pending"},
    )
    assert here.who(visit)["confidence"] == "none"
    update = {**event("docker-exec", 99), "kind": "update"}
    kept = {name: update[name] for name in ("id", "time", "mono", "kind")}
    here.comes({**kept, "target": visit["id"], "set": {"container.name": "web"}, "missing": {}})
    assert here.names(visit) == ["jane"]


def test_nobody_is_new_while_a_place_is_learning_and_the_first_to_come_afterwards_is_once(here):
    here.visit(client("jane", *JANE))
    here.visit(client("bob", *JANE, pid=7), after=MS)
    assert here.alerts == []
    here.another()
    here.visit(client("bob", *JANE, pid=8), after=LEARNING_NS + MS)
    assert here.alerts == []
    here.visit(client("eve", *JANE, pid=9), after=LEARNING_NS + 2 * MS)
    (alert,) = here.alerts
    assert (alert["principal"], alert["title"]) == ("eve", "Entry by somebody new: web")
    here.another()
    here.visit(client("eve", *JANE, pid=10), after=LEARNING_NS + 3 * MS)
    assert len(here.alerts) == 1
    with here.made.store.read() as connection:
        assert alerts.count(connection, AlertFilter({"principal": ("eve",)})) == 1
        assert alerts.count(connection, AlertFilter({"principal": ("bob",)})) == 0


def test_one_who_is_known_on_the_host_can_be_new_in_a_namespace(here):
    def pod(namespace):
        return {"pod": {"name": "p", "namespace": namespace, "uid": None}}

    for number, namespace in enumerate(("shop", "bank")):
        here.visit(client("jane", *JANE, pid=20 + number), after=number * MS, container=pod(namespace))
    here.visit(client("bob", *JANE, pid=30), after=2 * MS, container=pod("shop"))
    here.visit(client("bob", *JANE, pid=31), after=LEARNING_NS + 9 * MS, container=pod("bank"))
    (alert,) = here.alerts
    with here.made.store.read() as connection:
        (finding,) = alerts.show(connection, alert["id"])["findings"]
    assert "had never come into a container in namespace bank before" in finding["reason"]


def test_the_container_of_an_emulation_is_reported_at_once_and_teaches_nothing(here):
    labels = {"labels": {"nsentry.emulation": "1"}}
    here.visit(client("jane", *JANE), container=labels)
    assert len(here.alerts) == 1
    here.visit(client("jane", *JANE, pid=2), after=MS, container=labels)
    assert len(here.alerts) == 2


def test_of_who_is_not_sure_nothing_is_learned_and_nothing_said(here):
    here.visit(client("jane", *JANE))
    here.visit(client("eve", "python3", "x.py"), after=LEARNING_NS + MS)
    assert here.alerts == []
