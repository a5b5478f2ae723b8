# SPDX-License-Identifier: Apache-2.0
"""Events become sessions, entries and containers: the same ones, however often and in whatever order."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from controller.bus import EmbeddedBus
from controller.store import (
    completion,
    containers,
    entries,
    hosts,
    migrate,
    project,
    schema,
    sessions,
)
from tests.controller import make
from tests.controller.conftest import add_host

PROJECTED = (schema.sessions, schema.entries, schema.containers, schema.activities)


@pytest.fixture
def take(store, host):
    """Takes events in as the bus does and projects each."""
    bus = EmbeddedBus(store)

    def take_in(*events):
        bus.append(host, events, make.BEGIN).result()
        for event in events:
            store.write(lambda connection, event=event: project.apply(connection, host, event))

    return take_in


def rows(connection):
    return {
        table.name: [
            dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
        ]
        for table in PROJECTED
    }


def test_an_entry_becomes_a_session_an_entry_and_a_container(store, take):
    take(make.entry(1), make.command(2, "id", "-u"), make.ended(3, code=1), make.session_end(4, code=7))

    with store.read() as connection:
        (entry,) = entries.list_(connection)
        (row,) = sessions.list_(connection)
        session = sessions.show(connection, make.session_id())
        (container,) = containers.list_(connection)
    assert entry["sentence"].startswith("ada on n1")
    assert (entry["host"], entry["host_id"]) == ("n1", make.HOST)
    assert entry["time"] == "2026-11-18T11:06:41.000000Z"
    assert (row["means"], row["code"], row["commands"]) == ("ns-join", 7, 1)
    assert row["container"] == {"id": make.CONTAINER, "name": "web", "image": "busybox:demo"}
    assert [each["process"]["argv"] for each in session["executions"]] == [["sh"], ["id", "-u"]]
    assert [each["code"] for each in session["executions"]] == [None, 1]
    assert [each["kind"] for each in session["events"]] == ["entry", "command", "exit", "session_end"]
    assert (container["name"], container["sessions"]) == ("web", 1)


def test_an_attempt_is_listed_without_a_process(store, take):
    take(make.attempt(1))

    with store.read() as connection:
        (entry,) = entries.list_(connection)
        (session,) = sessions.list_(connection)
    assert (entry["kind"], entry["process"], entry["verdict"]) == ("attempt", None, None)
    assert session["process"] is None
    assert "tried to enter" in session["sentence"]


def test_a_session_whose_entry_was_lost_is_told_as_such(store, take):
    take(make.command(5, "id"), make.command(4, "ls"))

    with store.read() as connection:
        session = sessions.show(connection, make.session_id())
    assert session["began_ns"] == make.BEGIN + 4 * make.SECOND
    assert (session["entry"], session["means"], session["opened_by"]) == (None, None, None)
    assert "the entry itself was not seen" in session["sentence"]


def test_an_update_completes_entry_container_and_command(store, take):
    pending = make.container(name=None, image=None, labels={}, user=None)
    take(
        make.entry(1, container=pending, missing={"container.name": "pending"}),
        make.command(2, "id", cwd=None),
        make.update(3, make.event_id(1), container__name="web", container__image="busybox:demo"),
        make.update(4, make.event_id(2), process__cwd="/root"),
    )

    with store.read() as connection:
        entry = entries.show(connection, make.event_id(1))
        session = sessions.show(connection, make.session_id())
        container = containers.show(connection, "web")
    assert (entry["container"]["name"], entry["missing"]) == ("web", {})
    assert session["executions"][1]["process"]["cwd"] == "/root"
    assert container["image"] == "busybox:demo"


@pytest.mark.parametrize(
    "set_",
    [
        {"process": "gone"},
        {"process.pid": "one"},
        {"process.pid": -1},
        {"process.comm.x": 1},
        {"id": "h/b/1"},
        {"session": "h/b/1"},
        {"kind": "command"},
        {"time": 0},
        {"container.nothing.at.all": 1},
        {"login.uid.x": 1},
    ],
)
def test_an_update_that_would_spoil_its_event_changes_nothing(store, take, set_):
    """Sensors can be taken over; what readers rely on is the type of each event."""
    bad = make.update(3, make.event_id(1)) | {"set": set_ | {"container.name": "other"}}

    take(make.entry(1), bad, make.update(4, make.event_id(1), container__name="right"))

    with store.read() as connection:
        entry = entries.show(connection, make.event_id(1))
        assert (entry["container"]["name"], entry["process"]["pid"]) == ("right", 1000)


def test_an_update_of_another_hosts_event_changes_nothing(store, take):
    """Ingest refuses it already; the projection does not depend on that."""
    store.write(lambda connection: add_host(connection, "other", "n2"))
    take(make.entry(1))
    foreign = make.update(2, make.event_id(1), container__name="forged")
    with store.read() as connection:
        before = rows(connection)

    store.write(lambda connection: project.apply(connection, "other", foreign))

    with store.read() as connection:
        assert rows(connection) == before


def test_a_container_that_is_started_again_runs_again(store, take):
    take(make.start(1), make.stop(2), make.start(3))
    with store.read() as connection:
        again = containers.show(connection, make.CONTAINER)
    assert (again["started_ns"], again["stopped"]) == (make.BEGIN + 3 * make.SECOND, None)

    take(make.stop(4))
    with store.read() as connection:
        assert containers.show(connection, make.CONTAINER[:12])["stopped_ns"] == make.BEGIN + 4 * make.SECOND


def test_what_became_known_of_a_container_is_not_forgotten(store, take):
    """The kernel knows only the id; a later event that lacks the name must not take it away."""
    take(make.start(1), make.stop(2, container=make.container(name=None, image=None, user=None)))

    with store.read() as connection:
        assert containers.show(connection, "web")["image"] == "busybox:demo"


def test_losses_are_shown_with_their_host(store, take):
    take(
        make.loss(1, "ring.entry.full", 3),
        make.loss(2, "ring.entry.full", 4),
        make.loss(3, "spool.dropped", 1),
    )

    with store.read() as connection:
        (host,) = hosts.list_(connection)
    assert host["losses"] == {"ring.entry.full": 7, "spool.dropped": 1}


def visit() -> list[dict]:
    """A container's life with visits in it, completed afterwards, and one that was not seen to begin."""
    pending = make.container(name=None, image=None, runtime="unknown", labels={})
    return [
        make.start(1, container=pending),
        make.entry(2, container=pending, missing={"container.name": "pending"}),
        make.command(3, "id", pid=1001),
        make.ended(4, pid=1001),
        make.update(5, make.event_id(2), container__name="web", container__image="busybox:demo"),
        make.update(6, make.event_id(2), {"container.pod": "unknown"}, container__name="web2"),
        make.update(7, make.event_id(1), container__name="early"),
        make.session_end(8),
        make.attempt(9, session=2),
        make.command(10, "ls", session=3),
        make.command(11, "ls", session=3),
        make.stop(12, container=make.container(name="late")),
        make.start(13),
        make.update(14, make.event_id(99), container__name="of nothing"),
        make.update(15, make.event_id(9), container__image="other:1"),
        make.session_end(16, session=3),
        make.activity(17, count=1),
        make.activity(18, count=40),
        make.activity(19, count=2, first=make.BEGIN + make.SECOND, argv=["ls", "-l"]),
        make.activity(20, key="other", container_id="d" * 64),
    ]


def projected(url, batches):
    """What the events become when they arrive in `batches`, each projected in the order of the bus."""
    with migrate.open_store(url) as store:
        store.write(add_host)
        bus, position = EmbeddedBus(store), 0
        for batch in batches:
            bus.append(make.HOST, batch, make.BEGIN).result()
            deliveries = bus.read(position, 100)
            position = deliveries[-1].seq if deliveries else position

            def apply_all(connection, deliveries=deliveries):
                for each in deliveries:
                    project.apply(connection, each.host, each.event)

            store.write(apply_all)
        with store.read() as connection:
            return rows(connection)


EXPECTED: dict = {}
"""What the visit becomes when it arrives in order, once."""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_arrival_do_not_matter(tmp_path_factory, empty_database, chance):
    """At least once, in any order, in any batches: the same rows."""
    folder = tmp_path_factory.mktemp("order")

    def fresh(name):
        path = folder / name
        path.write_bytes(empty_database.read_bytes())
        return f"sqlite:///{path}"

    events = visit()
    if not EXPECTED:
        EXPECTED.update(projected(fresh("in order"), [events]))
    shuffled = events + chance.sample(events, 5)
    chance.shuffle(shuffled)
    cut = chance.randrange(len(shuffled))

    assert projected(fresh("shuffled"), [shuffled[:cut], shuffled[cut:]]) == EXPECTED


def test_projecting_everything_again_changes_nothing(store, take):
    events = visit()
    take(*events)
    with store.read() as connection:
        before = rows(connection)
    again = events * 2
    random.Random(1).shuffle(again)  # noqa: S311 - no secret

    for event in again:
        store.write(lambda connection, event=event: project.apply(connection, make.HOST, event))

    with store.read() as connection:
        assert rows(connection) == before
        assert completion.completed(connection, make.event_id(2))["container"]["name"] == "web2"
        assert completion.completed(connection, make.event_id(50)) is None
