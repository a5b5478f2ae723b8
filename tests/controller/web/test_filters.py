# SPDX-License-Identifier: Apache-2.0
"""Q5: the address says it all, and only that."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from controller.store.alerts import FACETS
from controller.web import filters

NAMES = st.sampled_from(
    [*FACETS, *(f"-{name}" for name in FACETS), "q", "since", "at", "order", "page", "other"]
)
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["open", "all", "high", "24h", "newest", "2", "", "0", "5-10", "9-9", "1-9999999999"]),
)
ADDRESSES = st.lists(st.tuples(NAMES, VALUES), max_size=12).map(QueryParams)


def _again(query):
    return filters.parse(QueryParams(parse_qsl(urlsplit(query.url()).query, keep_blank_values=True)))


@given(ADDRESSES)
def test_address_of_a_query_means_that_query(params):
    """Any address is understood, and the address made of what was understood means the same."""
    query = filters.parse(params)
    assert _again(query) == query
    query.filter(10**18)


@given(ADDRESSES, st.sampled_from(FACETS), st.text(max_size=10))
def test_toggling_twice_changes_nothing(params, facet, value):
    """A filter that is put on is on, and taken off it is off: nothing else changes but the page."""
    query = filters.parse(params)
    on = query if query.has(facet, value) else query.toggled(facet, value)
    assert on.has(facet, value)
    assert not on.toggled(facet, value).has(facet, value)
    out = on.without(facet, value)
    assert out.lacks(facet, value)
    assert not out.has(facet, value)


def test_open_alerts_are_meant_without_a_state():
    """Q1: the plain address is the open alerts, the gravest first."""
    query = filters.parse(QueryParams(""))
    assert query.filter(0) == filters.OPEN
    assert (query.order, query.url()) == ("severity", "/alerts")


def test_any_state_and_not_known_can_be_asked_for():
    """`state=all` is all states; an empty value is "not known"."""
    query = filters.parse(QueryParams("state=all&user="))
    assert query.filter(0).include == {"user": ("",)}


def test_a_stretch_of_time_is_asked_for_in_seconds():
    """It stands in place of a relative range, which is the later choice; nonsense is left out."""
    query = filters.parse(QueryParams("at=100-160"))
    assert (query.filter(0).since, query.filter(0).until) == (100 * 10**9, 160 * 10**9)
    assert filters.parse(QueryParams("at=100-160&since=1h")).at == ""
    for wrong in ("at=160-100", "at=1-1", "at=-5-7", "at=1-9999999999", "at=x"):
        assert filters.parse(QueryParams(wrong)).at == ""


def test_relative_time_counts_from_now():
    """`since=24h` begins a day before the moment of the request."""
    assert filters.parse(QueryParams("since=24h")).filter(86_400 * 10**9 + 5).since == 5
