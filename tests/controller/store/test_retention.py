# SPDX-License-Identifier: Apache-2.0
"""What is old is forgotten a little at a time, and nothing that somebody may still look for."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select

from controller.detect.engine import Engine
from controller.detect.worker import Worker
from controller.forgetting import Forgetting
from controller.keeping import Bound, Retention
from controller.settings import SettingsError, load
from controller.store import counters, cursors, retention
from controller.store.records_schema import records
from controller.store.schema import alerts, entries, events, findings, hosts, sessions
from tests.controller import make
from tests.controller.detect.building import collector

DAY = retention.DAY_NS
AGES = Retention(Bound(90, 10**9), Bound(14, 10**9))


class Here:
    """A store whose events came at 1 ns, long ago; `later` days have gone by since."""

    def __init__(self, made):
        self.made = made
        self.worker = Worker(made.store, made.bus, Engine([]), clock=lambda: 10**9)

    def comes(self, *told):
        self.made.take_in(*told, host=make.HOST)

    def dealt_with(self):
        while self.worker.run_once():
            pass

    def later(self, days, kept=AGES):
        Forgetting(self.made.store, kept, clock=lambda: int(days * DAY)).look()

    def ids(self, table=events):
        return {row["id"] for row in self.made.rows(table)}

    def counted(self, name):
        with self.made.store.read() as connection:
            return counters.all_(connection, "retention.").get(f"retention.{name}", 0)


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        host = {**dict.fromkeys(("kernel", "os", "arch", "sensor"), "x"), "id": make.HOST, "name": "n1"}

        made.store.write(
            lambda connection: connection.execute(
                insert(hosts).values(**host, credential="retention", enrolled=1)
            )
        )
        yield Here(made)


def test_what_no_visit_stands_by_goes_when_it_is_old_and_not_before(here):
    here.comes(make.record(1, "start", exec_id=None), make.contact(2, session=None), make.activity(3))
    here.dealt_with()
    here.later(89)
    assert len(here.ids()) == 3
    here.later(91)
    assert here.ids() == here.ids(records) == set()
    assert (here.counted("records"), here.counted("events")) == (1, 3)


def test_the_record_of_a_visit_stays_with_it_and_so_does_what_happened_in_it(here):
    visit = make.entry(1, means="docker-exec", exec_id="e" * 64)
    said = make.record(2, exec_id="e" * 64, time=visit["time"])
    here.comes(
        visit,
        said,
        make.contact(3, session=visit["session"]),
        make.record(4, "exec_create", exec_id="f" * 64),
    )
    here.dealt_with()
    here.later(91)
    assert here.ids(records) == {said["id"]}
    assert here.ids() == {make.event_id(number) for number in (1, 2, 3)}


def test_what_an_alert_stands_on_stays(here):
    said = make.record(1, "copy_out", exec_id=None)
    here.comes(said)
    here.dealt_with()
    finding = {"alert": "a", "detection": "d", "severity": 1, "event": said["id"], "time": 1, "reason": "r"}

    def found(connection):
        make_alert(connection)
        connection.execute(insert(findings).values(**finding, fields={}))

    here.made.store.write(found)
    here.later(91)
    assert here.ids(records) == {said["id"]}


def make_alert(connection):

    texts = dict.fromkeys(("session", "state", "title", "sentence", "means"), "x")
    numbers = dict.fromkeys(("severity", "first_seen", "last_seen", "raised", "changed", "events"), 1)
    connection.execute(insert(alerts).values(id="a", host=make.HOST, **texts, **numbers))


def test_health_checks_go_whole_and_visits_stay(here):
    check = make.entry(1, means="probe")
    update = {"id": make.event_id(3), "time": 1, "mono": 1, "kind": "update", "target": check["id"]}
    here.comes(check, make.session_end(2), {**update, "set": {}, "missing": {}})
    visit = make.entry(4, session=4)
    here.comes(visit, make.session_end(5, session=4))
    here.dealt_with()
    here.later(13)
    assert len(here.ids(sessions)) == 2
    here.later(15)
    assert here.ids(sessions) == {visit["session"]}
    assert here.ids(entries) == {visit["id"]}
    assert here.ids() == {visit["id"], make.event_id(5)}
    assert here.counted("probes") == 1


def test_what_detection_has_not_dealt_with_stays(here):
    here.comes(make.record(1, "exec_create"))
    here.later(91)
    assert len(here.ids()) == 1
    here.dealt_with()
    here.later(91)
    assert here.ids() == set()


def test_of_too_many_the_oldest_go_in_small_steps_and_nothing_is_looked_at_twice(here, monkeypatch):
    here.comes(
        *(
            make.record(number, "exec_create", exec_id=f"{number:064x}", key=f"{number:032x}")
            for number in range(1, 1301)
        )
    )
    here.dealt_with()
    steps = []
    step = retention.step

    def counted(connection, kind, bound, now):
        before = connection.execute(select(func.count()).select_from(events)).scalar_one()
        more = step(connection, kind, bound, now)
        steps.append(before - connection.execute(select(func.count()).select_from(events)).scalar_one())
        return more

    monkeypatch.setattr(retention, "step", counted)
    here.later(1, Retention(Bound(90, 100), Bound(14, 100)))
    assert len(here.ids()) == len(here.ids(records)) == 100
    assert max(steps) <= retention.STEP
    with here.made.store.read() as connection:
        assert cursors.position(connection, retention.cursor("outside")) == 1200
    steps.clear()
    here.later(1, Retention(Bound(90, 100), Bound(14, 100)))
    assert steps == [0, 0]


def test_what_is_too_much_but_came_within_the_hour_stays(here):
    here.comes(*(make.record(number, "exec_create", key=f"{number:032x}") for number in range(1, 20)))
    here.dealt_with()
    here.later(0.5 / 24, Retention(Bound(90, 1), Bound(14, 1)))
    assert len(here.ids()) == 19


def test_the_bounds_are_settings(tmp_path):
    (tmp_path / "controller.toml").write_text("[retention]\ndays = 30\nprobe_days = 2\nevents = 1000000\n")
    kept = load(tmp_path, environment={}).retention
    assert kept == Retention(Bound(30, 1_000_000), Bound(2, 1_000_000))
    (tmp_path / "controller.toml").write_text("[retention]\ndays = 0\n")
    with pytest.raises(SettingsError, match="days is 0"):
        load(tmp_path, environment={})


def test_an_exec_whose_entry_is_awaited_or_was_never_seen_keeps_its_record(here):
    here.comes(make.record(1))
    here.dealt_with()
    here.later(91)
    assert here.ids(records) == {make.event_id(1)}
