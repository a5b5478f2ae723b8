# SPDX-License-Identifier: Apache-2.0
"""Where datagrams go: of a visit each place once, of a container's own once and then counted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sensor.probe import BPF_SOURCES, Probe, open_probe
from sensor.probe.flows import Flow, What, decode, is_flow
from sensor.probe.hooks import Best
from sensor.probe.ordinary import CONNECT
from sensor.probe.ordinary import decode as decode_ordinary
from tests.kernel.room import WAIT_S, Room

pytestmark = pytest.mark.kernel

PLACES = [
    ("udp", "127.0.0.1", 4001),
    ("udp", "127.0.0.2", 4002),
    ("udp", "::1", 4003),
    ("udp", "127.0.0.3", 4004),
]
SENDS = """
import socket as s
def datagrams(family):
    return s.socket(family, s.SOCK_DGRAM)
with datagrams(s.AF_INET) as one:          # not connected: twice to one place, once to another
    one.sendto(b"x", ("127.0.0.1", 4001)); one.sendto(b"x", ("127.0.0.1", 4001))
    one.sendmsg([b"x"], [], 0, ("127.0.0.2", 4002))
with datagrams(s.AF_INET) as one:          # another socket, connected, to a place that was told already
    one.connect(("127.0.0.2", 4002)); one.send(b"x")
with datagrams(s.AF_INET6) as one:         # by IPv6, connected and not
    one.sendto(b"x", ("::1", 4003))
with datagrams(s.AF_INET6) as one:
    one.connect(("::1", 4003))
    try: one.send(b"x"); one.send(b"x")
    except ConnectionRefusedError: pass
with datagrams(s.AF_INET6) as one:         # an IPv6 socket that speaks to IPv4
    one.sendto(b"x", ("::ffff:127.0.0.3", 4004))
with datagrams(s.AF_INET) as one:          # connected and nothing sent, as getaddrinfo(3) does: no word of it
    one.connect(("127.0.0.9", 4009))
with s.socket(s.AF_UNIX, s.SOCK_DGRAM) as one, s.socket(s.AF_UNIX, s.SOCK_DGRAM) as other:
    one.bind("\\0nsentry-test-datagram"); other.sendto(b"x", "\\0nsentry-test-datagram")
"""


class Seen:
    """A probe and the flows that it told of."""

    def __init__(self, loader: str, best: Best) -> None:
        self.flows: list[Flow] = []
        self.probe: Probe = open_probe(loader, self._take, best)

    def _take(self, raw: bytes) -> None:
        if is_flow(raw):
            self.flows.append(decode(raw))

    def until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not ready():
            assert time.monotonic() < deadline, self.flows
            self.probe.poll(50)


# Where a kernel has no kprobes, the next best serves in their place.
@pytest.fixture(scope="module", params=["core auto", "core kprobe", "bcc auto"])
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watched = Seen(*request.param.split())
    yield watched
    watched.probe.close()


@pytest.fixture
def room(seen: Seen) -> Iterator[Room]:
    room = Room(seen.probe)
    room.do("ip link set lo up")
    seen.flows.clear()
    yield room
    room.close()


def enter(room: Room, script: str) -> None:
    command = ["nsenter", "-t", str(room.init), "-m", "-n", sys.executable, "-c", script]
    subprocess.run(command, check=True)


def own(seen: Seen, room: Room) -> list[Any]:
    told = map(decode_ordinary, seen.probe.ordinary.read())
    return [one for one in told if one.mnt == room.mnt and one.kind == CONNECT]


def test_status_names_the_hook_for_datagrams(seen: Seen) -> None:
    hook = seen.probe.hooks["datagram"]
    assert "udp_sendmsg" in hook or "sock_send_length, fib_table_lookup, fib6_table_lookup" in hook


def test_each_place_that_a_visit_sends_to_is_told_once(seen: Seen, room: Room) -> None:
    """Connected or not, by IPv4, by IPv6 and by an IPv6 socket that speaks to IPv4."""
    enter(room, SENDS)
    seen.until(lambda: len([one for one in seen.flows if one.what is What.SEND]) >= len(PLACES))
    seen.probe.poll(50)
    sent = [one for one in seen.flows if one.what is What.SEND]
    assert [(one.protocol, one.address, one.port) for one in sent] == PLACES
    assert {one.mnt for one in sent} == {room.mnt}
    assert own(seen, room) == []


def test_another_visit_is_told_of_the_same_place_anew(seen: Seen, room: Room) -> None:
    for _ in range(2):
        enter(room, SENDS)
    seen.until(lambda: len([one for one in seen.flows if one.what is What.SEND]) >= 2 * len(PLACES))
    cookies = {one.head.cookie for one in seen.flows if one.what is What.SEND}
    assert len(cookies) == 2
    assert 0 not in cookies


def test_what_a_container_sends_of_itself_is_told_once_and_counted(seen: Seen, room: Room) -> None:
    room.do(f"{sys.executable} -c '{SENDS}'")
    told = own(seen, room)
    assert [(one.protocol, one.address, one.port) for one in told] == PLACES
    counts = dict(seen.probe.ordinary.counts())
    assert [counts[one.key] for one in told][:2] == [1, 1]
    assert [one for one in seen.flows if one.what is What.SEND] == []


def test_a_server_that_answers_has_no_new_place_for_each_client(seen: Seen, room: Room) -> None:
    """A low port that sends to a high one: a server. The same the other way round: a client."""
    script = """
import socket as s
with s.socket(s.AF_INET, s.SOCK_DGRAM) as server, s.socket(s.AF_INET, s.SOCK_DGRAM) as client:
    server.bind(("127.0.0.1", 4010)); client.bind(("127.0.0.1", 45010))
    client.sendto(b"x", ("127.0.0.1", 4010)); server.recv(9); server.sendto(b"y", ("127.0.0.1", 45010))
"""
    room.do(f"{sys.executable} -c '{script}'")
    assert [(one.address, one.port) for one in own(seen, room)] == [("127.0.0.1", 4010)]


def test_a_visit_that_sends_to_thousands_of_places_is_bounded_and_counted(seen: Seen, room: Room) -> None:
    script = """
import socket as s
with s.socket(s.AF_INET, s.SOCK_DGRAM) as one:
    for port in range(1000, 5000): one.sendto(b"x", ("127.0.0.1", port))
"""
    before = seen.probe.counters()["kernel.lost.contacts"]
    enter(room, script)
    lost = seen.probe.counters()["kernel.lost.contacts"] - before
    seen.until(lambda: len([one for one in seen.flows if one.what is What.SEND]) + lost >= 4000)
    assert 0 < len([one for one in seen.flows if one.what is What.SEND]) < 4000
