# SPDX-License-Identifier: Apache-2.0
"""Text from hosts and containers can always be packed, and is never longer than its bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sensor import wire
from sensor.enrich.text import clean

hostile = st.one_of(st.binary(), st.text(st.characters(codec=None)))


@given(hostile, st.integers(1, 40))
def test_any_bytes_and_any_text_can_be_packed_within_the_bound(value, limit):
    result = clean(value, limit)
    assert len(result) <= limit
    wire.pack({"v": 1, "text": result})


def test_bytes_that_are_no_utf8_stand_as_escapes():
    assert clean(b"caf\xe9") == r"caf\xe9"


def test_a_lone_surrogate_out_of_json_stands_as_an_escape():
    assert clean("a\ud800b") == r"a\ud800b"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_good_text_is_left_as_it_is(value):
    assert clean(value) == value
    assert clean(value.encode()) == value
