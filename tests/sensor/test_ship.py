# SPDX-License-Identifier: Apache-2.0
"""Delivery over real HTTPS: nothing lost, nothing there twice, order kept, whatever the collector does."""

from __future__ import annotations

import random
import threading

import pytest

from sensor import wire
from sensor.backoff import Backoff
from sensor.health import Counters
from sensor.ship import Shipper, advise, heartbeat_sender
from sensor.spool import Spool
from sensor.uplink import Answer, Uplink
from tests.sensor.collector import CREDENTIAL, DROP, HANG_UP, Refusal
from tests.sensor.examples import HOST_MESSAGE, MESSAGES

HOST: wire.Host = {**HOST_MESSAGE, "id": "h", "boot": "b"}


class Rig:
    """A spool and its shipper, against one collector."""

    def __init__(self, collector, ca, path, credential=CREDENTIAL, timeout_s=10.0):
        self.counters = Counters()
        self.spool = Spool.open(path, 64 << 20, host="h", boot="b", counters=self.counters)
        self.uplink = Uplink(collector.url, ca, credential, timeout_s=timeout_s)
        self.shipper = Shipper(self.spool, self.uplink, HOST, self.counters, backoff=Backoff(0.001, 0.02))
        self.given: list[str] = []

    def give(self, count: int = 1, **fields) -> list[str]:
        events = [{"id": self.spool.next_id(), "kind": "exit", "n": n, **fields} for n in range(count)]
        self.spool.append(events)
        self.given += [event["id"] for event in events]
        return [event["id"] for event in events]

    def deliver(self, rounds: int = 200) -> None:
        """Until the spool is empty, at most so many requests."""
        for _ in range(rounds):
            if not self.spool.wait(0):
                return
            self.shipper.deliver()

    def close(self) -> None:
        self.shipper.stop(drain_s=0)
        self.uplink.close()
        self.spool.close()


@pytest.fixture
def rig(collector, ca, tmp_path):
    made = Rig(collector, ca, tmp_path / "spool.db")
    yield made
    made.close()


def test_events_arrive_in_order_with_who_sends_them(rig, collector):
    rig.give(30)
    rig.deliver()
    assert collector.ids() == rig.given
    path, headers = collector.requests[0]
    assert path == "/api/v1/batches"
    assert headers["Authorization"] == f"Bearer {CREDENTIAL}"
    assert headers["User-Agent"].startswith("nsentry-sensor/")
    assert rig.counters.get("ship.events") == 30


def test_a_batch_stays_within_the_bounds_of_the_contract(rig, collector):
    rig.give(wire.MAX_BATCH_EVENTS + 5)
    rig.give(10, fill="x" * 500_000)
    rig.deliver()
    assert collector.ids() == rig.given
    sizes = [int(headers["Content-Length"]) for _, headers in collector.requests]
    assert max(sizes) <= wire.MAX_BATCH_BYTES


def test_a_batch_that_was_stored_but_not_answered_is_sent_again_and_there_once(rig, collector):
    collector.tricks += [DROP, DROP]
    rig.give(20)
    rig.deliver()
    assert collector.ids() == rig.given
    assert collector.duplicates == 40
    assert rig.counters.get("ship.failed.unreachable") == 2


@pytest.mark.parametrize(
    "trick",
    [
        HANG_UP,
        Refusal(500),
        Refusal(503, headers={"Retry-After": "0"}),
        Refusal(429, headers={"Retry-After": "0"}),
        Refusal(408),
        Refusal(404),
        Refusal(302, headers={"Location": "https://localhost/elsewhere"}),
        b"<html>a captive portal</html>",
        b"",
        wire.pack({"v": 1}),
        wire.pack({"v": 9}),
    ],
    ids=lambda trick: str(trick)[:40],
)
def test_a_failure_that_passes_loses_nothing(rig, collector, trick):
    collector.tricks += [trick] * 3
    rig.give(12)
    rig.deliver()
    assert collector.ids() == rig.given
    assert rig.counters.get("ship.retries") == 3
    assert rig.shipper.trouble() == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Enrol again"),
        (403, "Enrol again"),
        (426, "wire version 1"),
        (429, "busy"),
        (500, "failed"),
        (404, "Is it the right one?"),
    ],
)
def test_what_keeps_events_back_is_said_and_nothing_is_given_up(rig, collector, status, words):
    collector.always = Refusal(status, sentence="speaks \x1b[31m7")
    rig.give(3)
    rig.deliver(rounds=5)
    (sentence,) = rig.shipper.trouble()
    assert words in sentence
    assert "\\x1b[31m7" in sentence
    assert collector.events == []
    collector.always = None
    rig.deliver()
    assert collector.ids() == rig.given
    assert rig.shipper.trouble() == []


def refuse_some(bad: set[str], status: int, *, hint: bool):
    """As the controller does: the whole batch is refused for its first bad event."""

    def answer(batch):
        for index, event in enumerate(batch["events"]):
            if event["id"] in bad:
                return Refusal(status, f"$.events[{index}]: bad", more={"index": index} if hint else {})
        return None

    return answer


@pytest.mark.parametrize("hint", [True, False], ids=["index told", "index not told"])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_only_refused_events_are_set_aside_and_all_others_arrive_in_order(rig, collector, status, hint):
    given = rig.give(40)
    bad = {given[0], given[7], given[8], given[39]}
    collector.always = refuse_some(bad, status, hint=hint)
    rig.deliver()
    arrived = [event for event in collector.events if event["kind"] != "loss"]
    assert [event["id"] for event in arrived] == [one for one in given if one not in bad]
    assert {event["id"] for _, event in rig.spool.refused()} == bad
    assert rig.counters.get("ship.refused") == 4
    assert (
        sum(e["count"] for e in collector.events if e["kind"] == "loss" and e["cause"] == "ship.refused") == 4
    )


def test_with_the_index_told_few_requests_find_the_refused_event(rig, collector):
    given = rig.give(1000)
    collector.always = refuse_some({given[700]}, 400, hint=True)
    rig.deliver()
    assert len(collector.requests) <= 6


def test_an_event_of_another_host_does_not_hold_up_the_others(rig, collector):
    given = rig.give(5)
    collector.always = refuse_some({given[2]}, 403, hint=True)
    rig.deliver()
    assert [e["id"] for e in collector.events if e["kind"] != "loss"] == [*given[:2], *given[3:]]


def test_a_collector_that_refuses_everything_is_not_fed_at_full_speed(rig, collector):
    """Then it is wrong, not the events: they go aside ever more slowly, and a person is told."""
    collector.always = Refusal(400)
    rig.give(20)
    rig.deliver(rounds=60)
    assert "one event after the other" in rig.shipper.trouble()[0]
    assert rig.counters.get("ship.retries") > 5


def test_a_collector_that_is_killed_and_comes_back_gets_everything(collector, ca, tmp_path):
    rig = Rig(collector, ca, tmp_path / "spool.db")
    rig.shipper.start()
    try:
        rig.give(10)
        assert collector.wait(lambda: len(collector.events) == 10)
        collector.kill()
        for _ in range(20):
            rig.give(3)
        collector.start()
        rig.give(5)
        assert collector.wait(lambda: len(collector.events) == 75)
        assert collector.ids() == rig.given
    finally:
        rig.close()


def test_a_sensor_that_is_restarted_goes_on_where_it_stopped(collector, ca, tmp_path):
    first = Rig(collector, ca, tmp_path / "spool.db")
    collector.always = Refusal(503)
    given = first.give(10)
    first.deliver(rounds=2)
    first.close()
    collector.always = None
    second = Rig(collector, ca, tmp_path / "spool.db")
    given += second.give(5)
    second.deliver()
    second.close()
    assert collector.ids() == given


def test_an_answer_that_comes_too_late_is_no_loss_and_no_second_event(collector, ca, tmp_path):
    """The collector has stored the batch when the sensor gives up waiting for the answer."""
    release = threading.Event()

    def late(batch):
        collector.store(batch)
        release.wait(30)

    collector.tricks.append(late)
    rig = Rig(collector, ca, tmp_path / "spool.db", timeout_s=0.3)
    rig.give(8)
    rig.shipper.deliver()
    release.set()
    assert "does not answer in time" in rig.shipper.trouble()[0]
    rig.deliver()
    rig.close()
    assert collector.ids() == rig.given
    assert collector.duplicates >= 8


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_failures_loses_nothing_and_keeps_order(rig, collector, seed):
    chance = random.Random(seed)  # noqa: S311 - it has to be repeatable
    given = []
    bad: set[str] = set()
    storm = [HANG_UP, DROP, Refusal(500), Refusal(429, headers={"Retry-After": "0"}), b"junk"]
    for _ in range(12):
        new = rig.give(chance.randint(1, 30))
        given += new
        if chance.random() < 0.3:
            bad.add(chance.choice(new))
        collector.tricks += chance.choices(storm, k=chance.randint(0, 3))
        collector.always = refuse_some(bad, 400, hint=chance.random() < 0.5)
        for _ in range(chance.randint(0, 6)):
            rig.shipper.deliver()
    collector.tricks.clear()
    rig.deliver(rounds=2000)
    arrived = [event["id"] for event in collector.events if event["kind"] != "loss"]
    refused = {event["id"] for _, event in rig.spool.refused()}
    assert arrived == [one for one in given if one in set(arrived)]
    assert set(arrived) | refused == set(given)
    assert refused <= bad
    assert rig.counters.get("ship.refused") == len(refused)


def test_stopping_delivers_what_waits_when_the_collector_is_there(rig, collector):
    rig.shipper.start()
    rig.give(500)
    assert rig.shipper.stop(drain_s=30)
    assert collector.ids() == rig.given


def test_stopping_does_not_wait_for_a_collector_that_is_away(rig, collector):
    collector.kill()
    rig.shipper.start()
    rig.give(5)
    assert not rig.shipper.stop(drain_s=30)
    assert not rig.shipper._thread.is_alive()


def test_a_defect_that_ends_the_thread_is_seen(rig, collector, monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(rig.shipper, "deliver", broken)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    rig.give(1)
    rig.shipper.start()
    rig.shipper._thread.join(30)
    assert "nothing is delivered any more" in rig.shipper.trouble()[0]


def test_a_heartbeat_arrives_and_a_refused_one_raises(collector, ca):
    uplink = Uplink(collector.url, ca, CREDENTIAL)
    send = heartbeat_sender(uplink)
    send(MESSAGES["heartbeat"][1])
    assert collector.heartbeats == [MESSAGES["heartbeat"][1]]
    collector.always = Refusal(401)
    with pytest.raises(OSError, match="Enrol again"):
        send(MESSAGES["heartbeat"][1])
    uplink.close()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xc1", b"[]", b'{"error": 7}', b'{"error": null}', b"\x91" * 2000]
)
def test_an_answer_without_a_sentence_is_told_by_its_status(body):
    cause, sentence = advise(Answer(418, body, None, None))
    assert cause == "status"
    assert "418" in sentence
