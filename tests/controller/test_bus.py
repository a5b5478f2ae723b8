# SPDX-License-Identifier: Apache-2.0
"""The bus keeps order, knows what it has, and wakes whoever waits."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import exc

from controller.bus import Appended, EmbeddedBus
from controller.store import cursors
from tests.controller import make


@pytest.fixture
def bus(store, host):
    return EmbeddedBus(store)


def test_events_are_delivered_in_order_of_arrival_from_a_cursor_on(bus, host):
    events = make.one_of_each()
    assert bus.append(host, events, make.BEGIN).result() == Appended(len(events), 0)

    first = bus.read(0, 4)
    rest = bus.read(first[-1].seq, 100)

    assert [each.event for each in (*first, *rest)] == events
    assert [each.seq for each in (*first, *rest)] == sorted(each.seq for each in (*first, *rest))
    assert bus.read(bus.head(), 100) == []


def test_duplicates_are_counted_and_the_first_stands(bus, host):
    bus.append(host, [make.entry(1)], make.BEGIN).result()

    changed = make.entry(1, means="unknown")
    assert bus.append(host, [changed, make.entry(2), make.entry(2)], make.BEGIN).result() == Appended(1, 2)
    assert bus.read(0, 1)[0].event["means"] == "ns-join"


def test_an_event_of_a_host_that_is_not_enrolled_is_not_stored(bus):
    with pytest.raises(exc.IntegrityError):
        bus.append("nobody", [make.entry(1, "nobody")], make.BEGIN).result()
    assert bus.head() == 0


def test_waiting_ends_when_there_is_something(bus, host):
    assert bus.wait(0, 0) is False
    woken = threading.Event()

    def wait():
        assert bus.wait(0, 30) is True
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    bus.append(host, [make.entry(1)], make.BEGIN).result()
    assert woken.wait(30)
    thread.join()
    assert bus.wait(0, 0) is True
    assert bus.wait(bus.head(), 0) is False


def test_a_cursor_is_kept_by_name(store):
    with store.read() as connection:
        assert cursors.position(connection, "a") == 0
    store.write(lambda connection: cursors.advance(connection, "a", 7))
    store.write(lambda connection: cursors.advance(connection, "a", 9))
    with store.read() as connection:
        assert (cursors.position(connection, "a"), cursors.position(connection, "b")) == (9, 0)
