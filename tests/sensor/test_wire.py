# SPDX-License-Identifier: Apache-2.0
"""The contract: its bytes stay what they are, nothing hostile gets through it, and nothing breaks on it."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from typing import Any, get_type_hints

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor import wire
from tests.sensor import examples
from tests.sensor.examples import EVENTS, GOLDEN, MESSAGES

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | text
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=30,
)


@pytest.mark.parametrize("name", sorted(examples.contents()))
def test_golden_file_is_packed_byte_for_byte(name):
    assert examples.contents()[name] == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_golden_event_is_read_as_what_was_written(kind):
    data = (GOLDEN / f"event_{kind}.msgpack").read_bytes()
    assert msgpack.unpackb(data, raw=False, strict_map_key=True) == EVENTS[kind]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_golden_message_is_read_as_what_was_written(name):
    assert wire.unpack((GOLDEN / f"{name}.msgpack").read_bytes()) == MESSAGES[name][1]


def test_no_golden_file_is_left_untested():
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(examples.contents())


def test_every_kind_of_event_has_an_example():
    assert set(EVENTS) == set(wire.EVENT_TYPES)


@pytest.mark.parametrize(
    ("kind", "example"),
    [(wire.EVENT_TYPES[kind], example) for kind, example in EVENTS.items()] + list(MESSAGES.values()),
    ids=[*EVENTS, *MESSAGES],
)
def test_an_example_has_every_field_of_its_type_and_no_other(kind, example):
    assert set(example) == set(get_type_hints(kind))


def test_a_batch_of_packed_events_is_the_batch_packed_whole():
    _, batch = MESSAGES["batch"]
    packed = [wire.pack(event) for event in batch["events"]]
    assert wire.pack_batch(batch["host"], batch["sensor"], batch["sent"], packed) == wire.pack(batch)


@given(st.lists(st.dictionaries(text, values, max_size=4), max_size=20))
def test_a_batch_of_packed_events_holds_them_all_whatever_they_are(events):
    data = wire.pack_batch(examples.HOST_MESSAGE, "1", 2, [wire.pack(event) for event in events])
    assert wire.unpack(data)["events"] == events


@given(st.dictionaries(text, values, max_size=8))
def test_what_is_packed_is_unpacked_the_same(fields):
    message = {**fields, "v": wire.VERSION}
    assert wire.unpack(wire.pack(message)) == message


@given(st.binary(max_size=300))
def test_unpack_answers_any_bytes_with_a_message_or_one_of_its_errors(data):
    with suppress(wire.Malformed, wire.Incompatible):
        assert wire.unpack(data)["v"] == wire.VERSION


@given(st.data())
def test_unpack_survives_a_good_message_that_was_damaged(data):
    good = bytearray((GOLDEN / "batch.msgpack").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    with suppress(wire.Malformed, wire.Incompatible):
        assert wire.unpack(bytes(good[:cut]))["v"] == wire.VERSION


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x91" * 100_000,
        b"\x81\xa1v" * 50_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
        b"\x81\xa1v\xd6\xff\xff\xff\xff\xff",
        b"\x82\xa1v\x01\x05\x01",
        b"",
    ],
    ids=["nested arrays", "nested maps", "array", "map", "bin", "str", "timestamp", "integer key", "nothing"],
)
def test_unpack_refuses_bombs_without_allocating_what_they_promise(bomb):
    with pytest.raises((wire.Malformed, wire.Incompatible)):
        wire.unpack(bomb)


def test_unpack_names_the_versions_when_they_differ():
    with pytest.raises(wire.Incompatible, match="version 2 is not supported here; this side speaks 1"):
        wire.unpack(wire.pack({"v": 2}))


def test_unpack_reads_no_more_than_a_batch_may_have():
    with pytest.raises(wire.Malformed, match="at most"):
        wire.unpack(b"\xc0" * (wire.MAX_BATCH_BYTES + 1))


@given(st.text(max_size=200))
def test_printable_text_cannot_steer_a_terminal_nor_hide(hostile):
    shown = wire.printable(hostile)
    assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in shown)
    shown.encode("utf-8")


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200))
def test_printable_leaves_plain_text_as_it_is(plain):
    assert wire.printable(plain) == plain


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
)
def test_an_enrolment_token_brings_secret_and_ca_unchanged(secret, ca):
    token = wire.encode_token(secret, ca)
    assert token.isascii()
    assert len(token.split()) == 1
    assert wire.decode_token(f" {token}\n") == (secret, ca)


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: wire.TOKEN_PREFIX + raw.hex()))
def test_text_that_is_no_token_is_refused_with_a_sentence(junk):
    with pytest.raises(wire.Malformed, match="token"):
        wire.decode_token(junk)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_token_that_was_cut_is_refused_and_its_secret_not_told(cut):
    with pytest.raises(wire.Malformed) as caught:
        wire.decode_token(wire.encode_token("very-secret", "PEM")[:-cut])
    assert "very-secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_hostile_token_is_not_read_beyond_its_bound():
    with pytest.raises(wire.Malformed, match="at most"):
        wire.decode_token(wire.TOKEN_PREFIX + "A" * (wire.MAX_TOKEN_TEXT + 1))


def test_values_that_no_contract_knows_are_not_packed():
    with pytest.raises(TypeError):
        wire.pack({"v": 1, "x": object()})
    surrogate: Any = "\udcff"
    with pytest.raises(ValueError, match="surrogate"):
        wire.pack({"v": 1, "x": surrogate})
