# SPDX-License-Identifier: Apache-2.0
"""Records are kept once, however often they were told, and found by what people ask for."""

from __future__ import annotations

import pytest

from controller.store import project, records
from controller.store.records import RecordFilter
from tests.controller import make


@pytest.fixture
def told(store, host):
    """A function that projects events."""

    def tell(*events):
        for event in events:
            store.write(lambda connection, event=event: project.apply(connection, host, event))

    return tell


@pytest.fixture
def read(store):
    def listed(**filters):
        with store.read() as connection:
            return records.list_(connection, RecordFilter(**filters))

    return listed


def test_the_same_saying_told_twice_is_one_record(told, read):
    told(make.record(1, key="k" * 32), make.record(2, key="k" * 32))
    assert [each["id"] for each in read()] == [make.event_id(1)]


def test_the_newest_by_the_sources_clock_comes_first(told, read):
    told(make.record(3), make.record(5, time=make.BEGIN), make.record(4))
    assert [each["id"] for each in read()] == [make.event_id(n) for n in (4, 3, 5)]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"action": "attach"}, {2}),
        ({"source": "containerd"}, {3}),
        ({"exec_id": "other"}, {3}),
        ({"container": "web"}, {1, 2}),
        ({"container": make.CONTAINER[:12]}, {1, 2}),
        ({"host": "n1"}, {1, 2, 3}),
        ({"host": "n2"}, set()),
        ({"since": make.BEGIN + 2 * make.SECOND}, {2, 3}),
    ],
)
def test_each_filter_leaves_what_it_names(told, read, filters, found):
    told(
        make.start(9),
        make.record(1),
        make.record(2, "attach"),
        make.record(3, source="containerd", container_id="d" * 64, exec_id="other", pid=7),
    )
    assert {each["id"] for each in read(**filters)} == {make.event_id(n) for n in found}


def test_all_that_was_said_of_one_exec_is_found_in_order(told, store, host):
    told(make.record(3, "exec_die", code=0), make.record(1, "exec_create"), make.record(4, exec_id="other"))
    with store.read() as connection:
        said = records.of_exec(connection, host, make.CONTAINER, "e" * 64)
    assert [each["action"] for each in said] == ["exec_create", "exec_die"]
