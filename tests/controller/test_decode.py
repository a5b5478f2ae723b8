# SPDX-License-Identifier: Apache-2.0
"""Bytes from the network become valid events or a refusal, and nothing else."""

from __future__ import annotations

import copy

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import validity
from controller.ingest import decode
from controller.ingest.refusal import RefusedError
from sensor import wire
from tests.controller import make


def refusal(data: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        decode.batch(data)
    assert caught.value.sentence.isprintable()
    assert len(caught.value.sentence) < 1500
    return caught.value


def test_every_kind_of_event_survives_the_way_unchanged():
    events = make.one_of_each()

    assert decode.batch(wire.pack(make.batch(*events)))["events"] == events


def test_fields_that_a_newer_sensor_adds_are_left_out():
    """Sensors may be newer than the controller: what it does not know it does not store."""
    event = make.entry() | {"mood": "good"}

    assert decode.batch(wire.pack(make.batch(event)))["events"] == [make.entry()]


@pytest.mark.parametrize("version", [0, 2, 99, -1])
def test_another_version_is_refused_with_the_versions_that_are_read(version):
    refused = refusal(wire.pack(make.batch(make.entry(), v=version)))

    assert refused.status == 426
    assert refused.more["supported"] == [1]
    assert str(version) in refused.sentence


def test_a_newer_version_is_refused_by_its_number_although_nothing_else_is_understood():
    assert refusal(wire.pack({"v": 2, "something": "else"})).cause == "version"


def test_a_bad_event_is_named_by_its_index_and_path():
    bad = make.entry(2)
    bad["process"]["pid"] = "12"

    refused = refusal(wire.pack(make.batch(make.entry(1), bad)))

    assert refused.more["index"] == 1
    assert refused.sentence.startswith("events[1].process.pid: Expected `int`")


def test_an_unknown_kind_is_refused_by_name():
    refused = refusal(wire.pack(make.batch(make.entry() | {"kind": "exfil\x1b[2J"})))

    assert "events[0].kind: 'exfil\\\\x1b[2J'" in refused.sentence


def _with(path: str, value: object) -> dict:
    event = copy.deepcopy(make.entry())
    *parents, last = path.split(".")
    place = event
    for name in parents:
        place = place[name]
    place[last] = value
    return event


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("process.comm", "x" * (wire.MAX_TEXT + 1)),
        ("process.argv", ["x"] * (wire.MAX_ARGS + 1)),
        ("process.argv", ["x" * (wire.MAX_TEXT + 1)]),
        ("process.pid", -1),
        ("process.uid", 2**32),
        ("process.caps", "all of them"),
        ("process.caps", "FFFFFFFFFFFFFFFF"),
        ("container.id", "c" * 161),
        ("container.labels", {f"k{number}": "v" for number in range(513)}),
        ("container.labels", {"x" * (wire.MAX_TEXT + 1): ""}),
        ("namespaces", ["mnt", "mnt"]),
        ("namespaces", ["everything"]),
        ("ancestry", [make.ancestor()] * (wire.MAX_ANCESTRY + 1)),
        ("time", -1),
        ("time", 2**64 - 1),
        ("mono", 2**63),
        ("id", "no slashes"),
        ("id", f"{make.HOST}/{make.BOOT}/-1"),
        ("id", f"{make.HOST}/{make.BOOT}/{'9' * 19}"),
        ("id", f"{make.HOST}/a b/1"),
        ("session", "x" * 161),
        ("login", {"uid": -1, "user": None, "session": None}),
        ("means", "teleport"),
        ("missing", {"container.name": "maybe"}),
    ],
)
def test_what_breaks_a_bound_is_refused_not_cut(path, value):
    refused = refusal(wire.pack(make.batch(_with(path, value))))

    assert refused.status == 400
    assert refused.more["index"] == 0


def test_names_inside_labels_are_free():
    """Labels are chosen by whoever makes the container: none of them may have his entry refused."""
    labels = dict.fromkeys(("caps", "pid", "id", "namespaces", "process", "time", ""), "\x1b\x00\ud7ff")

    event = _with("container.labels", labels)

    assert decode.batch(wire.pack(make.batch(event)))["events"] == [event]


def test_what_is_not_json_is_refused_inside_an_update_too():
    for value in (b"bytes", msgpack.Timestamp(1), float("nan"), {1: 2}, 2**64 - 1):
        event = make.update(5, make.event_id(1)) | {"set": {"container.name": value}}

        assert refusal(msgpack.packb(make.batch(event))).cause == "malformed"


def test_deep_nesting_is_refused_without_harm():
    bombs = [
        b"\x91" * 100_000,
        b"\x81\xa1v" * 100_000,
        b"\x81\xa1v\x01\x91" + b"\x91" * 1_000_000,
        wire.pack(make.batch())[:-1] + b"\x91" * 1_000_000 + b"\xc0",
    ]
    for bomb in bombs:
        refusal(bomb)
    deep: object = 1
    for _ in range(validity.MAX_DEPTH):
        deep = [deep]
    event = make.update(5, make.event_id(1)) | {"set": {"container.labels": deep}}
    assert "nested" in refusal(wire.pack(make.batch(event))).sentence


def test_more_events_than_agreed_are_refused():
    events = [make.loss(number) for number in range(wire.MAX_BATCH_EVENTS + 1)]

    assert refusal(wire.pack(make.batch(*events))).status == 413


def test_a_length_that_is_only_claimed_allocates_nothing():
    """An array of four thousand million items, in six bytes."""
    refusal(b"\x81\xa1v\xdd\xff\xff\xff\xff")
    refusal(wire.pack(make.batch())[:-1] + b"\xdd\xff\xff\xff\xff")


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data):
    refusal(data)


WHOLE = wire.pack(make.batch(*make.one_of_each()))


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_batch_is_refused(length):
    refusal(WHOLE[:length])


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_valid_events_or_a_refusal(position, byte):
    data = bytearray(WHOLE)
    data[position] = byte
    try:
        batch = decode.batch(bytes(data))
    except RefusedError:
        return
    for event in batch["events"]:
        validity.check_event(event)
        assert event["kind"] in wire.EVENT_TYPES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.data(), JSON)
def test_a_wrong_type_anywhere_gives_valid_events_or_a_refusal(data, value):
    event = copy.deepcopy(data.draw(st.sampled_from(make.one_of_each())))
    place = event
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        inner = place[key]
        if not isinstance(inner, dict) or not inner or data.draw(st.booleans()):
            place[key] = value
            break
        place = inner
    try:
        batch = decode.batch(msgpack.packb(make.batch(event)))
    except RefusedError:
        return
    validity.check_event(batch["events"][0])


@given(JSON)
def test_heartbeats_and_enrolments_are_refused_alike(value):
    for decoder in (decode.heartbeat, decode.enrolment):
        with pytest.raises(RefusedError):
            decoder(msgpack.packb({"v": 1, "host": value, "token": value}))


def test_a_heartbeat_survives_the_way_unchanged():
    assert decode.heartbeat(wire.pack(make.heartbeat())) == make.heartbeat()
    bad = make.heartbeat(gauges={"memory.rss_bytes": float("inf")})
    with pytest.raises(RefusedError, match="not a finite number"):
        decode.heartbeat(wire.pack(bad))
