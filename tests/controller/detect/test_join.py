# SPDX-License-Identifier: Apache-2.0
"""A visit and its record find each other by the strongest key, one to one, whatever the order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect import join
from controller.detect.join import Listening, Told, Wanted, assign, pair

SECOND = 10**9
VISIT = Wanted("s1", "docker-exec", "c1", 100 * SECOND, "e1", 42, "sh")
SAID = Told("0/e1", "docker", "c1", 100 * SECOND, "e1", frozenset(), "sh")


@pytest.mark.parametrize(
    ("visit", "said", "confidence"),
    [
        ({}, {}, "exact"),
        ({"command": "other"}, {}, "exact"),
        ({"exec_id": None}, {"pids": frozenset({42})}, "exact"),
        ({"exec_id": None}, {}, "strong"),
        ({}, {"exec_id": None}, "strong"),
        ({}, {"exec_id": None, "command": None}, "weak"),
        ({"exec_id": None, "command": None}, {}, "weak"),
        ({"exec_id": "e2"}, {}, None),
        ({"exec_id": None, "command": "id"}, {}, None),
        ({"exec_id": None}, {"pids": frozenset({43})}, None),
        ({"container": "c2"}, {}, None),
        ({"time": 500 * SECOND}, {}, None),
        ({"exec_id": None, "time": 111 * SECOND}, {}, None),
        ({"means": "ns-join", "exec_id": None}, {}, None),
        ({"uid": 1000}, {"owner": 1000}, "exact"),
        ({}, {"owner": 1000}, None),
    ],
)
def test_the_strongest_key_that_both_have_decides(visit, said, confidence):
    made = pair(replace(VISIT, **visit), replace(SAID, **said))
    assert (made and made.confidence) == confidence


def test_two_identical_execs_in_the_same_second_are_joined_one_to_one():
    visits = [replace(VISIT, session=f"s{n}", exec_id=None, time=VISIT.time + n) for n in (1, 2)]
    said = [replace(SAID, key=f"0/e{n}", exec_id=f"e{n}", time=SAID.time + n) for n in (1, 2)]
    pairs = assign(visits, said)
    assert {session: made.key for session, made in pairs.items()} == {"s1": "0/e1", "s2": "0/e2"}


PODMANS = replace(VISIT, means="podman-exec")
NAMELESS = Told("0/begin", "podman", "c1", 100 * SECOND)
ENDED = Told("0/e1", "podman", "c1", 101 * SECOND, "e1")


def test_podmans_beginning_without_a_name_is_of_whom_its_end_names_and_of_nobody_else():
    later = replace(PODMANS, session="s2", exec_id="e2", time=PODMANS.time + 2 * SECOND)
    assert assign([PODMANS, later], [NAMELESS])["s1"].confidence == "weak"
    pairs = assign([PODMANS, later], [NAMELESS, ENDED])
    assert {session: made.key for session, made in pairs.items()} == {"s1": "0/e1"}
    assert assign([later], [NAMELESS], joined=[PODMANS.time]) == {}


def test_an_id_taken_from_another_exec_gives_nobody_its_record():
    honest = VISIT
    other = replace(VISIT, session="s2", time=VISIT.time + 5 * SECOND)
    assert set(assign([other, honest], [SAID])) == {"s1"}


def test_who_has_the_id_has_the_record_and_not_who_came_first():
    alike = replace(VISIT, session="s0", exec_id=None)
    assert set(assign([alike, replace(VISIT, time=VISIT.time + SECOND)], [SAID])) == {"s1"}


visits = st.builds(
    Wanted,
    st.sampled_from([f"s{n}" for n in range(6)]),
    st.sampled_from(["docker-exec", "ns-join", "unknown"]),
    st.sampled_from(["c1", "c2"]),
    st.integers(0, 30).map(lambda n: n * SECOND),
    st.sampled_from([None, "e1", "e2"]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, "sh", "id"]),
    st.sampled_from([0, 1000]),
)
sayings = st.builds(
    Told,
    st.sampled_from([f"k{n}" for n in range(6)]),
    st.just("docker"),
    st.sampled_from(["c1", "c2"]),
    st.integers(0, 30).map(lambda n: n * SECOND),
    st.sampled_from([None, "e1", "e2"]),
    st.frozensets(st.sampled_from([1, 2]), max_size=1),
    st.sampled_from([None, "sh", "id"]),
    st.sampled_from([0, 1000]),
)
many_visits = st.lists(visits, max_size=6, unique_by=lambda each: each.session)
many_sayings = st.lists(sayings, max_size=6, unique_by=lambda each: each.key)


@given(many_visits, many_sayings, st.randoms())
def test_order_and_repetition_change_nothing(came, said, random):
    pairs = assign(came, said)
    came, said = [*came, *came], [*said, *said]
    random.shuffle(came)
    random.shuffle(said)
    assert assign(came, said) == pairs


@given(many_visits, many_sayings)
def test_no_record_is_of_two_visits_and_none_is_left_that_would_fit(came, said):
    pairs = assign(came, said)
    taken = [made.key for made in pairs.values()]
    assert len(taken) == len(set(taken))
    for visit in came:
        for told in said:
            if visit.session not in pairs and told.key not in taken:
                assert pair(visit, told) is None


@given(many_visits, many_sayings)
def test_a_stronger_pair_is_never_given_up_for_a_weaker_one(came, said):
    pairs = assign(came, said)
    by_key = {made.key: made for made in pairs.values()}
    for visit in came:
        for told in said:
            made = pair(visit, told)
            if made is None:
                continue
            rivals = [each for each in (pairs.get(visit.session), by_key.get(told.key)) if each]
            assert any(join.RANKS[each.confidence] <= join.RANKS[made.confidence] for each in rivals)


def test_no_verdict_is_given_on_what_was_not_listened_to():
    heard = [Listening("docker", 0)]
    assert join.first(VISIT, heard)[0] == "awaited"
    assert join.first(VISIT, [])[0] == "unchecked"
    assert join.last(VISIT, heard)[0] == "unrecorded"
    assert join.last(VISIT, heard, lost=3)[0] == "unchecked"
    assert join.last(VISIT, [Listening("docker", 0, away=VISIT.time)])[0] == "unchecked"
    assert join.last(VISIT, [Listening("docker", VISIT.time + 1)])[0] == "unchecked"
    assert join.last(VISIT, [Listening("podman", 0)])[0] == "unchecked"
    assert join.first(replace(VISIT, means="ns-join"), heard)[0] == "unrecorded"
    assert join.first(replace(VISIT, means="unknown"), heard)[0] == "unchecked"


def test_a_daemon_speaks_for_the_visits_of_its_own_user_alone():
    theirs = replace(VISIT, means="podman-exec", uid=1000)
    roots, users = Listening("podman", 0), Listening("podman", 0, owner=1000)
    assert join.last(theirs, [roots, replace(users, away=1)])[0] == "unchecked"
    assert join.last(theirs, [roots, users])[0] == "unrecorded"
    assert join.last(replace(theirs, uid=0), [users])[0] == "unchecked"


def test_of_cri_o_nobody_tells_although_a_containerd_runs_beside_it():
    visit = replace(VISIT, means="cri-exec", runtime="cri-o")
    assert join.first(visit, [Listening("containerd", 0)])[0] == "unchecked"
    assert join.first(replace(visit, runtime="cri"), [Listening("containerd", 0)])[0] == "awaited"


@given(st.lists(st.integers(0, 10**12), max_size=50))
def test_the_deadline_follows_the_usual_delay_within_bounds(delays):
    usual = 0
    for delay in delays:
        usual = join.learned(usual, delay)
        assert delay <= usual
        assert join.DEADLINE_NS[0] <= join.deadline(usual) <= join.DEADLINE_NS[1]
