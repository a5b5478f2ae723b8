# SPDX-License-Identifier: Apache-2.0
"""The status socket answers its owner, and no reader can cost the sensor time or memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from sensor import status
from sensor.fault import ExitCode, Fault
from sensor.health import Health
from sensor.status import MAX_QUEUED_BYTES, MAX_READERS, SOCKET_NAME, StatusSocket, ask, connect
from tests.sensor.examples import EVENTS, HOST_MESSAGE


@pytest.fixture
def served(tmp_path):
    health = Health(HOST_MESSAGE)
    server = StatusSocket(tmp_path, health)
    server.start()
    yield server
    server.stop()


def until(condition) -> None:
    """Wait for the socket's thread; bounded, so that a failure ends."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def follow(folder, server) -> socket.socket:
    """A connection that follows events already."""
    before = len(server._tails)
    client = connect(folder)
    client.sendall(b"tail\n")
    until(lambda: len(server._tails) == before + 1)
    return client


def test_status_is_one_line_of_json(served, tmp_path):
    (beat,) = ask(tmp_path, "status")
    assert beat["host"] == HOST_MESSAGE


def test_tail_shows_events_from_now_on_in_order(served, tmp_path):
    served.publish({"n": -1})
    client = follow(tmp_path, served)
    for n in range(100):
        served.publish({"n": n})
    lines = client.makefile("rb")
    assert [json.loads(lines.readline())["n"] for _ in range(100)] == list(range(100))
    client.close()


def test_every_kind_of_event_can_be_shown(served, tmp_path):
    client = follow(tmp_path, served)
    for event in EVENTS.values():
        served.publish(event)
    lines = client.makefile("rb")
    assert [json.loads(lines.readline()) for _ in EVENTS] == list(EVENTS.values())
    client.close()


def test_a_reader_that_does_not_read_is_bounded_and_told_what_it_missed(served, tmp_path):
    client = follow(tmp_path, served)
    count = 4 * MAX_QUEUED_BYTES // 10_000
    for n in range(count):
        served.publish({"n": n, "fill": "x" * 10_000})
    (reader,) = served._tails
    assert reader._queued <= MAX_QUEUED_BYTES
    dropped = served._health.counters.get("tail.dropped")
    assert dropped > count // 2
    # What was dropped last is told with the next event: one comes whenever nothing waits.
    read_all = threading.Event()

    def nudge():
        while not read_all.wait(0.02):
            if not reader.waits():
                served.publish({})

    nudging = threading.Thread(target=nudge)
    nudging.start()
    lines = client.makefile("rb")
    shown, missed = 0, 0
    while shown + missed < count:
        line = json.loads(lines.readline())
        shown, missed = shown + ("n" in line), missed + line.get("dropped", 0)
    read_all.set()
    nudging.join()
    assert missed == dropped
    client.close()


def test_a_stuck_reader_does_not_hold_up_another(served, tmp_path):
    stuck = follow(tmp_path, served)
    good = follow(tmp_path, served)
    lines = good.makefile("rb")
    for n in range(300):
        served.publish({"n": n, "fill": "x" * 10_000})
        assert json.loads(lines.readline())["n"] == n
    stuck.close()
    good.close()


def test_a_reader_that_goes_away_is_forgotten(served, tmp_path):
    client = follow(tmp_path, served)
    client.close()
    until(lambda: served._tails == ())
    served.publish({"n": 1})
    assert list(ask(tmp_path, "status"))


def test_only_so_many_readers_are_served_and_their_places_come_back(served, tmp_path):
    clients = [follow(tmp_path, served) for _ in range(MAX_READERS)]
    with connect(tmp_path) as late:
        assert late.recv(10) == b""
    assert served._health.counters.get("status.turned_away") == 1
    for client in clients:
        client.close()
    until(lambda: not served._readers)
    assert list(ask(tmp_path, "status"))


@pytest.mark.parametrize(
    "request_", [b"\n", b"statusx\n", b"x" * 5000, b"\xff\xfe\n", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_another_request_is_answered_with_what_can_be_asked(served, tmp_path, request_):
    with connect(tmp_path) as client:
        client.sendall(request_)
        assert b"error" in client.makefile("rb").readline()
    assert list(ask(tmp_path, "status"))


def test_a_request_may_come_in_pieces(served, tmp_path):
    with connect(tmp_path) as client:
        for piece in (b"st", b"atu", b"s\n"):
            client.sendall(piece)
        assert json.loads(client.makefile("rb").readline())["host"] == HOST_MESSAGE


def test_a_client_that_says_nothing_is_hung_up_on(served, tmp_path, monkeypatch):
    monkeypatch.setattr(status, "_REQUEST_TIMEOUT_S", 0.05)
    with connect(tmp_path) as client:
        assert client.recv(10) == b""
    assert served._readers == {}


def test_publishing_while_readers_come_and_go_never_fails(served, tmp_path):
    stop = threading.Event()
    failures = []

    def pipeline():
        while not stop.is_set():
            try:
                served.publish({"fill": "x" * 1000})
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                failures.append(error)

    thread = threading.Thread(target=pipeline)
    thread.start()
    for _ in range(30):
        client = connect(tmp_path)
        client.sendall(b"tail\n")
        client.recv(100)
        client.close()
    stop.set()
    thread.join()
    assert failures == []


def test_the_socket_is_its_owners_alone_and_gone_afterwards(tmp_path):
    server = StatusSocket(tmp_path, Health(HOST_MESSAGE))
    server.start()
    assert (tmp_path / SOCKET_NAME).stat().st_mode & 0o777 == 0o600
    server.stop()
    assert not (tmp_path / SOCKET_NAME).exists()
    server.publish({"n": 1})


def test_a_socket_left_by_a_killed_sensor_is_replaced(tmp_path):
    (tmp_path / SOCKET_NAME).touch()
    server = StatusSocket(tmp_path, Health(HOST_MESSAGE))
    server.start()
    assert list(ask(tmp_path, "status"))
    server.stop()


def test_a_long_path_is_no_obstacle(tmp_path):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    server = StatusSocket(deep, Health(HOST_MESSAGE))
    server.start()
    assert list(ask(deep, "status"))
    server.stop()


def test_no_sensor_is_told_from_a_dead_one(tmp_path):
    for prepare in (lambda: None, lambda: socket_without_listener(tmp_path)):
        prepare()
        with pytest.raises(Fault, match="no sensor runs with") as caught:
            next(ask(tmp_path, "status"))
        assert caught.value.exit_code == ExitCode.UNREACHABLE
    with pytest.raises(Fault, match="no sensor runs with"):
        next(ask(tmp_path / "nothing", "status"))


def socket_without_listener(folder) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / SOCKET_NAME))


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused(served, tmp_path):
    program = f"from sensor.status import ask; from pathlib import Path; next(ask(Path({str(tmp_path)!r}), 'status'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is not for this user to ask" in done.stderr
