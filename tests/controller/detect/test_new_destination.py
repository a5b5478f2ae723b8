# SPDX-License-Identifier: Apache-2.0
"""A new destination is told of whoever came in, and of the container by itself right after a visit."""

from __future__ import annotations

import pytest

from controller.detect.catalogue import BUILT_IN, load
from controller.detect.engine import Engine
from controller.detect.worker import Worker
from controller.store.schema import alerts, findings
from tests.controller.detect.building import collector, event
from tests.controller.detect.test_baseline import DAY, Clock, ran, started

SESSION = event("docker-exec")["session"]
MINUTE = 60 * 10**9


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield made


@pytest.fixture
def feed(here):
    """A worker with the one detection, and a baseline that knows one program and one destination."""
    clock = Clock()
    worker = Worker(here.store, here.bus, Engine([load(BUILT_IN / "new_destination")]), clock=clock)

    def give(*events):
        here.take_in(*events)
        while worker.run_once():
            pass

    give(started(1), ran(2, "/bin/app"), went(3, "10.0.0.5", 80))
    clock.now += DAY
    return give


def went(number, address, port, at=None, first=None, count=1):
    of = {"what": "connect", "exe": None, "filename": None, "argv": None, "protocol": "tcp"}
    made = event("activity", number, **of, address=address, port=port, key=f"{number:016x}", count=count)
    time = made["time"] if at is None else at
    return {**made, "time": time, "first": time if first is None else first}


def reached(number, address, port, **more):
    given = {"session": SESSION, "what": "connect", "address": address, "port": port, **more}
    return event("connection", number, **given)


def entered(number):
    return {**event("docker-exec", number), "session": SESSION}


def test_a_visitor_who_goes_where_the_workload_goes_is_not_told_and_one_who_goes_elsewhere_is(here, feed):
    feed(entered(5), reached(6, "10.0.0.5", 80), reached(7, "192.0.2.9", 4444))
    (found,) = here.rows(findings)
    assert "tcp 192.0.2.9:4444" in found["reason"]
    assert found["event"] == reached(7, "192.0.2.9", 4444)["id"]


def test_a_datagram_is_another_destination_than_a_connection_to_the_same_port(here, feed):
    feed(entered(5), reached(6, "10.0.0.5", 80, what="send", protocol="udp"))
    assert ["udp 10.0.0.5:80" in each["reason"] for each in here.rows(findings)] == [True]


def test_the_container_by_itself_is_told_right_after_a_visit_and_not_later_nor_twice(here, feed):
    visit = entered(5)
    soon, late = visit["time"] + 2 * MINUTE, visit["time"] + 60 * MINUTE
    feed(
        visit,
        went(6, "192.0.2.9", 4444, soon),
        went(7, "192.0.2.9", 4444, soon + MINUTE, first=soon, count=9),
        went(8, "192.0.2.8", 4444, late),
    )
    (found,) = here.rows(findings)
    assert "tcp 192.0.2.9:4444" in found["reason"]
    assert "2 min after a visit" in found["reason"]
    (alert,) = here.rows(alerts)
    assert alert["session"] != SESSION


def test_without_a_visit_a_container_that_goes_elsewhere_is_no_matter_of_this_detection(here, feed):
    feed(went(6, "192.0.2.9", 4444))
    assert here.rows(findings) == []
