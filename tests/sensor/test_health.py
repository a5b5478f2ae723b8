# SPDX-License-Identifier: Apache-2.0
"""The heartbeat says all that is known, counts right from many threads, and never breaks the sensor."""

from __future__ import annotations

import threading
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor import __version__, wire
from sensor.fault import ExitCode, Fault
from sensor.health import Counters, Degraded, Gauges, Health, Heartbeats, resident_bytes
from tests.sensor.examples import HOST_MESSAGE


def test_counting_from_many_threads_loses_nothing():
    counters = Counters()
    threads = [threading.Thread(target=lambda: [counters.add("x") for _ in range(2000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.get("x") == 16000


@given(st.lists(st.integers(0, 1000)))
def test_a_total_never_goes_back(totals):
    counters = Counters()
    for total in totals:
        counters.set_total("ring.entry.full", total)
    assert counters.get("ring.entry.full") == max(totals, default=0)


def test_a_snapshot_is_sorted_and_does_not_change_afterwards():
    counters = Counters()
    counters.add("b")
    counters.add("a", 0)
    before = counters.snapshot()
    counters.add("a")
    assert list(before.items()) == [("a", 0), ("b", 1)]


def test_gauges_leave_out_what_is_not_known_now():
    gauges = Gauges()
    gauges.register("known", lambda: 1.5)
    gauges.register("unknown", lambda: None)
    assert gauges.snapshot() == {"known": 1.5}


def test_degraded_sentences_come_and_go():
    degraded = Degraded()
    now = ["the spool is damaged"]
    degraded.register(lambda: now)
    degraded.say("hooks", "fentry is refused")
    assert degraded.snapshot() == ["fentry is refused", "the spool is damaged"]
    degraded.say("hooks", None)
    degraded.say("hooks", None)
    now.clear()
    assert degraded.snapshot() == []


def test_a_heartbeat_has_every_field_of_the_contract():
    health = Health(HOST_MESSAGE)
    health.watching(
        "core", "asked for", {"exec": "tracepoint sched:sched_process_exec"}, "/sys/fs/bpf/nsentry"
    )
    health.counters.add("x")
    beat = health.heartbeat()
    assert set(beat) == set(get_type_hints(wire.Heartbeat))
    assert beat["host"] == HOST_MESSAGE
    assert (beat["loader"], beat["sensor"], beat["counters"]) == ("core", __version__, {"x": 1})
    assert beat["gauges"]["memory.rss_bytes"] > 1_000_000
    assert wire.unpack(wire.pack(beat)) == beat


@pytest.mark.parametrize("error", [OSError("gone"), Fault("no", exit_code=ExitCode.UNREACHABLE)])
def test_a_heartbeat_that_does_not_arrive_is_counted_and_not_repeated(error):
    health = Health(HOST_MESSAGE)

    def send(_beat):
        raise error

    assert not Heartbeats(health, send, 60).beat()
    assert health.counters.get("heartbeat.failed") == 1


def test_the_first_heartbeat_is_sent_at_once_and_more_follow():
    health = Health(HOST_MESSAGE)
    third = threading.Event()
    sent = []

    def send(beat):
        sent.append(beat)
        if len(sent) == 3:
            third.set()

    beats = Heartbeats(health, send, 0.01)
    beats.start()
    assert third.wait(30)
    beats.stop()
    assert not beats._thread.is_alive()


def test_stopping_what_never_started_is_no_error():
    Heartbeats(Health(HOST_MESSAGE), lambda _: None, 1).stop()


def test_memory_that_cannot_be_read_is_unknown(tmp_path):
    assert resident_bytes(tmp_path) is None
    (tmp_path / "self").mkdir()
    (tmp_path / "self/statm").write_text("junk")
    assert resident_bytes(tmp_path) is None
