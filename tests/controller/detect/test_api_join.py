# SPDX-License-Identifier: Apache-2.0
"""Which request belongs to which visit: whatever comes in whatever order, one to one, and nothing is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect import api_join
from controller.detect.api_join import Asked, Hearing, Wanted
from controller.store import audit_sources

S = 10**9
NOW = 1000 * S

wanted = st.builds(
    Wanted,
    session=st.sampled_from("abcdef"),
    pod=st.sampled_from(["shop/x", "shop/y"]),
    container=st.sampled_from([None, "app", "side"]),
    time=st.integers(0, 80 * S),
    command=st.sampled_from([None, "id", "sh"]),
)
asked = st.builds(
    Asked,
    request=st.sampled_from("123456"),
    source=st.just("k"),
    pod=st.sampled_from(["shop/x", "shop/y"]),
    container=st.sampled_from([None, "app", "side"]),
    time=st.integers(0, 80 * S),
    command=st.sampled_from([None, "id", "sh"]),
    refused=st.booleans(),
)


def unique(each, name):
    return st.lists(each, max_size=6, unique_by=lambda one: getattr(one, name))


@pytest.mark.parametrize(
    ("delays", "behind"),
    [([5], 0), ([300], 270), ([300, 2], 0), ([2, 300], 0), ([700], 0)],
)
def test_an_audit_that_is_always_late_has_a_clock_behind(delays, behind):
    """What is late once was told late; a log of the past says nothing."""
    least = None
    for delay in delays:
        least = audit_sources._least(least, delay * S)
    assert audit_sources.lag(least) == behind * S


@given(unique(wanted, "session"), unique(asked, "request"), st.randoms())
def test_pairs_are_one_to_one_whatever_the_order_and_never_contradict_themselves(visits, requests, random):
    pairs = api_join.assign(visits, requests)
    assert len({each.key for each in pairs.values()}) == len(pairs)
    by_session, by_request = (
        {each.session: each for each in visits},
        {each.request: each for each in requests},
    )
    for session, pair in pairs.items():
        visit, request = by_session[session], by_request[pair.key]
        assert visit.pod == request.pod
        assert not request.refused
        assert None in {visit.command, request.command} or visit.command == request.command
        assert None in {visit.container, request.container} or visit.container == request.container
        assert (pair.confidence == "strong") == (None not in {visit.command, request.command})
    random.shuffle(visits)
    random.shuffle(requests)
    assert api_join.assign(visits, requests) == pairs


@given(unique(wanted, "session"), unique(asked, "request"))
def test_no_visit_is_left_alone_that_could_be_paired(visits, requests):
    pairs = api_join.assign(visits, requests)
    taken = {each.key for each in pairs.values()}
    for visit in visits:
        for request in requests:
            if visit.session not in pairs and request.request not in taken:
                assert api_join.pair(visit, request) is None


@pytest.mark.parametrize(
    ("executed", "asked_for", "confidence"),
    [("id", "id", "strong"), ("/bin/sh /app/run.sh x", "/app/run.sh x", "strong"), ("id", "sh", None),
     (None, "id", "weak"), ("id", None, "weak")],
)  # fmt: skip
def test_a_script_is_found_behind_its_interpreter_and_another_command_is_none(
    executed, asked_for, confidence
):
    found = api_join.pair(
        Wanted("a", "s/p", "app", NOW, executed), Asked("1", "k", "s/p", "app", NOW, asked_for)
    )
    assert (found.confidence if found else None) == confidence


def heard(**more):
    return Hearing(
        **{"name": "prod", "mine": True, "since": 0, "heard": NOW, "execs": True, "early": True, **more}
    )


@pytest.mark.parametrize(
    ("hearings", "status", "sure"),
    [
        ([], "unchecked", False),
        ([heard()], "unrecorded", True),
        ([heard(mine=False)], "unrecorded", False),
        ([heard(execs=False)], "unrecorded", False),
        ([heard(gap=NOW)], "unrecorded", False),
        ([heard(away=NOW - S)], "unchecked", False),
        ([heard(since=NOW + S)], "unchecked", False),
        ([heard(heard=NOW - 2 * api_join.SILENT_NS)], "unchecked", False),
        ([heard(mine=False), heard(mine=False, name="other")], "unchecked", False),
        ([heard(), heard(mine=False, name="other")], "unrecorded", True),
    ],
)
def test_the_verdict_says_what_speaks_against_it(hearings, status, sure):
    found = api_join.last(NOW, hearings)
    assert (found[0], found[2]) == (status, sure)


@pytest.mark.parametrize(
    ("times", "is_"),
    [((0, 10, 20, 30), True), ((0, 3, 10, 13, 20), True), ((0, 10, 20), False), ((0, 1, 20, 21, 90), False),
     ((0, 0.1, 0.2, 0.3), False)],
)  # fmt: skip
def test_what_runs_at_one_pace_is_a_probes(times, is_):
    assert api_join.regular(int(each * S) for each in times) is is_
