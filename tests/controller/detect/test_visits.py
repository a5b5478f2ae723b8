# SPDX-License-Identifier: Apache-2.0
"""A visit read from the store is the one that was followed in memory."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.detect import visits
from controller.detect.visits import KEPT, Visited, Visits
from tests.controller.detect.building import collector, command, ended, event


def _followed(events):
    visited = Visited("h1/b1/1")
    for each in events:
        visited.add(each)
    return visited


@given(
    st.lists(st.sampled_from(["docker-exec", "attempt", "command", "exit"]), min_size=1, max_size=12),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_reading_it_up_to_any_event_gives_what_following_gave(tmp_path_factory, kinds, data):
    """So a worker that begins again judges with the same visit before its eyes."""
    made = [
        ended(at) if kind == "exit" else event(kind, at, session="h1/b1/1")
        for at, kind in enumerate(kinds, 1)
    ]
    upto = data.draw(st.integers(0, len(made)))
    with collector(tmp_path_factory.mktemp("store")) as here:
        here.take_in(*made)
        with here.store.read() as connection:
            loaded = visits.load(connection, "h1/b1/1", upto + 1)
    assert _known(loaded) == _known(_followed(made[:upto]))


def test_a_long_visit_is_bounded_and_knows_its_entry_and_its_numbers():
    many = [event("docker-exec"), *(command(number, "id") for number in range(2, KEPT + 50))]
    visited = _followed(many)
    assert len(visited.executions) == KEPT
    assert visited.entry == many[0]
    assert (visited.commands, visited.events) == (KEPT + 48, KEPT + 49)


def test_a_long_visit_read_from_the_store_is_bounded_alike(tmp_path):
    many = [event("docker-exec"), *(command(number, "id") for number in range(2, KEPT + 50))]
    with collector(tmp_path) as here:
        here.take_in(*many)
        with here.store.read() as connection:
            assert _known(visits.load(connection, "h1/b1/1", 10_000)) == _known(_followed(many))


def test_a_command_line_of_any_length_is_remembered_in_part():
    """Half a thousand of two megabytes each would be a gigabyte in memory."""
    long = command(2, "x", *["a" * 4000] * 500)
    visited = _followed([event("docker-exec"), long])
    kept = visited.executions[-1]["process"]
    assert kept["argv"] == ["x", "a" * 4000, "a" * 4000]
    assert kept["argv_cut"]
    assert len(long["process"]["argv"]) == 501


def test_what_is_forgotten_is_read_again(tmp_path):
    with collector(tmp_path) as here:
        here.take_in(event("docker-exec"))
        kept = Visits()
        with here.store.read() as connection:
            first = kept.before(connection, "h1/b1/1", 2)
            assert kept.before(connection, "h1/b1/1", 2) is first
            kept.forget("h1/b1/1")
            assert kept.before(connection, "h1/b1/1", 2) is not first


def test_only_so_many_visits_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr(visits, "CACHED", 2)
    with collector(tmp_path) as here, here.store.read() as connection:
        kept = Visits()
        first = kept.before(connection, "a", 1)
        kept.before(connection, "b", 1)
        kept.before(connection, "c", 1)
        assert kept.before(connection, "a", 1) is not first


def _known(visited):
    """What is known of a visit, without what surrounds it."""
    return {name: value for name, value in asdict(visited).items() if name not in {"around", "normal"}}
