# SPDX-License-Identifier: Apache-2.0
"""Alerts over time: each in the stretch that it was last seen in, whatever the range."""

from __future__ import annotations

from itertools import pairwise

import pytest

from controller.store import alert_rows, alert_times, raising
from controller.store.alert_times import STRETCHES
from controller.store.alerts import AlertFilter
from tests.controller import make

HOUR = 3600 * make.SECOND
START = make.BEGIN


@pytest.fixture
def at(store, host):
    """Raises an alert of a severity, last seen at a moment."""

    def raise_(number, moment, severity=2):
        named = {"title": "t", "sentence": "s", "means": "ns-join", "container": None, "user": None}
        seen = {"first_seen": moment, "last_seen": moment, "events": 1}
        alert = alert_rows.NewAlert(f"s{number}", host, container_name=None, image=None, **named, **seen)
        finding = alert_rows.NewFinding("d", severity, f"{host}/b/{number}", moment, "because", {})
        store.write(lambda connection: raising.raise_(connection, alert, [finding], moment))

    return raise_


def over_time(store, now, **more):
    with store.read() as connection:
        return alert_times.over_time(connection, AlertFilter(**more), now)


def test_every_alert_is_in_one_stretch_and_the_gravest_gives_its_name(store, at):
    for number, severity in enumerate((1, 4, 2)):
        at(number, START + number, severity)
    at(9, START + 30 * HOUR)

    stretches = over_time(store, START + 60 * HOUR)

    assert len(stretches) == STRETCHES
    assert sum(each["count"] for each in stretches) == 4
    assert (stretches[0]["count"], stretches[0]["worst"]) == (3, "critical")
    assert (stretches[30]["count"], stretches[30]["worst"]) == (1, "medium")
    assert stretches[1]["worst"] is None
    for before, after in pairwise(stretches):
        assert before["end_ns"] == after["start_ns"]


def test_the_range_that_is_asked_for_is_the_range_that_is_drawn(store, at):
    at(1, START)
    at(2, START + 10 * HOUR)

    stretches = over_time(store, START + 99 * HOUR, since=START + 5 * HOUR, until=START + 11 * HOUR)

    assert stretches[0]["start_ns"] == START + 5 * HOUR
    assert stretches[-1]["end_ns"] == START + 11 * HOUR
    assert sum(each["count"] for each in stretches) == 1


def test_no_alert_has_no_drawing_and_a_clock_ahead_is_in_it(store, at):
    assert over_time(store, START) == []
    at(1, START + 5 * HOUR)

    assert sum(each["count"] for each in over_time(store, START)) == 1
