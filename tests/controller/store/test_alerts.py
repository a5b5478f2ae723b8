# SPDX-License-Identifier: Apache-2.0
"""One visit is one alert; people change it, nothing is forgotten, and lists find it."""

from __future__ import annotations

import pytest

from controller.bus import EmbeddedBus
from controller.store import alerts, project
from controller.store.alerts import AlertFilter, NewAlert, NewFinding
from tests.controller import make
from tests.controller.conftest import add_host

NOW = make.BEGIN


def finding(detection="shell", severity=2, event=1):
    return NewFinding(detection, severity, make.event_id(event), NOW, "because", {"process.argv": ["sh"]})


def alert(session=1, host=make.HOST, **more):
    base = {
        "session": make.session_id(session, host),
        "host": host,
        "title": "Interactive shell",
        "sentence": "root on n1 entered container web",
        "means": "ns-join",
        "container": make.CONTAINER,
        "container_name": "web",
        "image": "busybox:demo",
        "user": "ada",
        "first_seen": NOW,
        "last_seen": NOW + session,
        "events": 1,
    }
    return NewAlert(**{**base, **more})


@pytest.fixture
def raise_(store, host):
    def raise_one(new, *findings, now=NOW):
        return store.write(lambda connection: alerts.raise_(connection, new, findings or (finding(),), now))

    return raise_one


@pytest.fixture
def read(store, host):
    def call(function, *arguments, **options):
        with store.read() as connection:
            return function(connection, *arguments, **options)

    return call


ID = alerts.alert_id(make.session_id())


def test_raising_twice_is_once(raise_, read):
    assert raise_(alert()) == "raised"
    assert raise_(alert()) == "unchanged"

    shown = read(alerts.show, ID)
    assert [each["detection"] for each in shown["findings"]] == ["shell"]
    assert [step["action"] for step in shown["history"]] == ["raised"]


def test_more_findings_grow_it_and_a_graver_one_escalates_it(raise_, read):
    raise_(alert())
    assert raise_(alert(events=2), finding("recon", 1, 2)) == "grown"
    assert raise_(alert(events=3, last_seen=NOW + 9), finding("download", 3, 3), now=NOW + 5) == "escalated"

    shown = read(alerts.show, ID)
    assert (shown["severity"], shown["events"], shown["last_seen_ns"]) == ("high", 3, NOW + 9)
    assert shown["detections"] == ["shell", "recon", "download"]
    assert shown["history"][-1]["detail"] == {"from": "medium", "to": "high"}


def test_a_closed_alert_opens_again_only_for_something_graver(raise_, read, store):
    raise_(alert())
    store.write(lambda c: alerts.set_state(c, ID, "false_positive", "ada", "a drill", NOW))

    assert raise_(alert(), finding("recon", 2, 2)) == "grown"
    assert read(alerts.show, ID)["state"] == "false_positive"
    assert raise_(alert(), finding("download", 4, 3)) == "reopened"

    shown = read(alerts.show, ID)
    assert (shown["state"], shown["close_reason"]) == ("new", None)
    assert shown["history"][-1]["detail"]["closed_as"] == "false_positive"


def test_refreshing_changes_what_is_said_and_raises_nothing(store, raise_, read):
    assert store.write(lambda c: alerts.refresh(c, alert())) is False
    raise_(alert())
    assert store.write(lambda c: alerts.refresh(c, alert(sentence="now known"))) is True
    assert read(alerts.show, ID)["sentence"] == "now known"
    assert len(read(alerts.show, ID)["history"]) == 1


def test_every_change_by_a_person_is_recorded_with_the_name(store, raise_, read):
    raise_(alert())
    store.write(lambda c: alerts.assign(c, ID, "bob", "ada", NOW))
    store.write(lambda c: alerts.assign(c, ID, "bob", "ada", NOW))
    store.write(lambda c: alerts.comment(c, ID, " looks odd ", "bob", NOW))
    store.write(lambda c: alerts.set_state(c, ID, "true_positive", "bob", "confirmed", NOW))
    store.write(lambda c: alerts.set_state(c, ID, "true_positive", "bob", "confirmed", NOW))

    shown = read(alerts.show, ID)
    assert [(step["actor"], step["action"]) for step in shown["history"]] == [
        ("nsentry", "raised"),
        ("ada", "assign"),
        ("bob", "comment"),
        ("bob", "state"),
    ]
    assert shown["history"][2]["detail"] == {"text": "looks odd"}
    assert (shown["assignee"], shown["close_reason"]) == ("bob", "confirmed")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: alerts.set_state(c, ID, "true_positive", "ada", None, NOW),
        lambda c: alerts.set_state(c, ID, "false_positive", "ada", "  ", NOW),
        lambda c: alerts.set_state(c, ID, "solved", "ada", "x", NOW),
        lambda c: alerts.set_state(c, ID, "true_positive", "ada", "x" * 5000, NOW),
        lambda c: alerts.comment(c, ID, " ", "ada", NOW),
        lambda c: alerts.comment(c, ID, "x" * 4097, "ada", NOW),
        lambda c: alerts.assign(c, ID, "x" * 129, "ada", NOW),
    ],
)
def test_a_change_that_makes_no_sense_is_an_error(store, raise_, read, change):
    raise_(alert())
    with pytest.raises(ValueError, match=r"\w+"):
        store.write(change)
    assert len(read(alerts.show, ID)["history"]) == 1


def test_changing_what_is_not_there_is_told(store, host):
    assert store.write(lambda c: alerts.set_state(c, "none", "new", "ada", None, NOW)) is False
    assert store.write(lambda c: alerts.assign(c, "none", "ada", "ada", NOW)) is False
    assert store.write(lambda c: alerts.comment(c, "none", "hm", "ada", NOW)) is False


@pytest.fixture
def fleet(store, raise_):
    store.write(lambda connection: add_host(connection, "h2", "n2"))
    raise_(alert(1), finding("shell", 2))
    raise_(alert(2, container_name="db", image="postgres:17", user=None), finding("download", 4))
    raise_(
        alert(3, host="h2", container_name=None, container="d" * 64), finding("shell", 2), finding("recon", 1)
    )
    raise_(alert(4, host="h2", title="100% odd_name"), finding("recon", 1))
    closed = alerts.alert_id(make.session_id(4, "h2"))
    store.write(lambda c: alerts.set_state(c, closed, "benign_true_positive", "ada", "change", NOW))


def found(read, include=None, exclude=None, **more):
    rows = read(alerts.list_, AlertFilter(include or {}, exclude or {}, **more))
    assert read(alerts.count, AlertFilter(include or {}, exclude or {}, **more)) == len(rows)
    return [int(row["session"].rpartition("s")[2]) for row in rows]


def test_lists_are_in_order_of_gravity_or_time(fleet, read):
    assert found(read) == [2, 3, 1, 4]
    newest = read(alerts.list_, order="newest", limit=2, offset=1)
    assert [row["session"][-1] for row in newest] == ["3", "2"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ({"state": ["open"]}, {}, [2, 3, 1]),
        ({}, {"state": ["open"]}, [4]),
        ({"severity": ["medium", "critical"]}, {}, [2, 3, 1]),
        ({"severity": ["catastrophic"]}, {}, []),
        ({"detection": ["recon"]}, {}, [3, 4]),
        ({}, {"detection": ["recon"]}, [2, 1]),
        ({"host": ["n2"]}, {"severity": ["low"]}, [3]),
        ({"container": ["db"]}, {}, [2]),
        ({"container": ["d" * 64]}, {}, [3]),
        ({}, {"container": ["db"]}, [3, 1, 4]),
        ({"user": [""]}, {}, [2]),
        ({}, {"user": [""]}, [3, 1, 4]),
        ({}, {"user": ["ada"]}, [2]),
        ({"assignee": [""]}, {}, [2, 3, 1, 4]),
        ({"image": ["postgres:17", "busybox:demo"], "host": ["n1"]}, {}, [2, 1]),
    ],
)
def test_facets_narrow_the_list_both_ways(fleet, read, include, exclude, expected):
    assert found(read, include, exclude) == expected


def test_words_are_searched_for_as_they_stand(fleet, read):
    assert found(read, text="POSTGRES entered") == [2]
    assert found(read, text="100% odd_name") == [4]
    assert found(read, text="%") == [4]
    assert found(read, since=NOW + 3) == [3, 4]
    assert found(read, until=NOW + 3) == [2, 1]


def test_an_unknown_facet_is_an_error(fleet, read):
    with pytest.raises(ValueError, match="no such facet: colour"):
        found(read, {"colour": ["red"]})


def test_facet_counts_leave_out_their_own_filter(fleet, read):
    counted = read(alerts.facets, AlertFilter({"host": ["n1"]}))

    assert counted["host"] == [{"value": "n1", "count": 2}, {"value": "n2", "count": 2}]
    assert counted["severity"] == [{"value": "critical", "count": 1}, {"value": "medium", "count": 1}]
    assert {each["value"]: each["count"] for each in counted["user"]} == {None: 1, "ada": 1}
    assert {each["value"] for each in counted["detection"]} == {"shell", "download"}
    assert set(counted) == set(alerts.FACETS)


def test_the_change_feed_is_complete_and_in_order(fleet, read):
    steps = read(alerts.changes, 0)
    assert [step["change"]["action"] for step in steps] == ["raised"] * 4 + ["state"]
    assert steps[-1]["alert"]["state"] == "benign_true_positive"
    last = read(alerts.last_change)
    assert last == steps[-1]["change"]["id"]
    assert read(alerts.changes, last) == []
    assert [step["change"]["id"] for step in read(alerts.changes, last - 2, limit=1)] == [last - 1]


def test_an_alert_shows_its_whole_visit(store, raise_, read):
    events = [make.entry(1), make.command(2, "id"), make.session_end(3)]
    EmbeddedBus(store).append(make.HOST, events, NOW).result()
    for event in events:
        store.write(lambda connection, event=event: project.apply(connection, make.HOST, event))
    raise_(alert())

    shown = read(alerts.show, ID, max_events=2)
    assert shown["visit"]["opened_by"]["means"] == "ns-join"
    assert len(shown["visit"]["events"]) == 2
    assert shown["visit"]["events_left_out"] == 1
    assert shown["visit"]["alert"] == ID
    assert read(alerts.show, "none") is None
