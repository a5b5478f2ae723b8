# SPDX-License-Identifier: Apache-2.0
"""What a sensor sends to a real controller over TLS: stored and then answered, or refused with a sentence."""

from __future__ import annotations

import random
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select

from controller.ingest.refusal import CAUSES
from controller.store import hosts, schema
from sensor import wire
from tests.controller import make
from tests.controller.serving import wait_for


@pytest.fixture
def sensor(shared):
    return shared.enrol()


def events_of(sensor):
    """Ids of the events that the controller has of this host."""
    query = select(schema.events.c.id).where(schema.events.c.host == sensor.host)
    with sensor.served.reading() as connection:
        return set(connection.execute(query).scalars())


def host_of(sensor):
    with sensor.served.reading() as connection:
        return hosts.show(connection, sensor.host)


def entries(sensor, *numbers):
    return [make.entry(number, sensor.host, session=number) for number in numbers]


def refused(answer, status, cause):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["cause"] == cause
    assert body["error"].isprintable()
    assert "Traceback" not in answer.text
    return body["error"]


def test_a_batch_is_acknowledged_and_can_be_read(sensor):
    assert sensor.stored(*entries(sensor, 1, 2)) == {"v": 1, "stored": 2, "duplicate": 0}

    assert len(events_of(sensor)) == 2


def test_what_is_sent_twice_is_stored_once(sensor):
    """Sensors send again what was not acknowledged; the acknowledgement may be what got lost."""
    sensor.stored(*entries(sensor, 1, 2))

    assert sensor.stored(*entries(sensor, 2, 1, 3, 3)) == {"v": 1, "stored": 1, "duplicate": 3}
    assert len(events_of(sensor)) == 3


def test_an_empty_batch_is_acknowledged(sensor):
    assert sensor.stored() == {"v": 1, "stored": 0, "duplicate": 0}


def test_many_sensors_at_once_lose_nothing(shared):
    sensors = [shared.enrol(name=f"many{number}", machine=None) for number in range(4)]

    def send(sensor):
        for number in range(1, 41):
            sensor.stored(*entries(sensor, number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, sensors))
    for sensor in sensors:
        assert len(events_of(sensor)) == 40


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (lambda _: make.entry(1), "events[0].id"),
        (lambda host: make.entry(1, host) | {"session": make.session_id(1)}, "events[0].session"),
        (lambda host: make.update(1, make.event_id(1)) | {"id": make.event_id(1, host)}, "events[0].target"),
        (lambda host: make.entry(1, f"{host}x"), "events[0].id"),
        (lambda host: make.entry(1, host[:-1]), "events[0].id"),
    ],
)
def test_a_host_cannot_write_another_hosts_events(shared, sensor, event, message):
    """Not its entries, not into its sessions, not over its events: all ids begin with the host's own."""
    other = shared.enrol(name="victim", machine=None)
    other.stored(*entries(other, 1))

    answer = sensor.send(event(sensor.host))

    assert message in refused(answer, 403, "foreign")
    assert events_of(sensor) == set()


def test_a_host_cannot_speak_for_another(shared, sensor):
    other = shared.enrol(name="victim", machine=None)
    batch = make.batch(*entries(other, 1), host_id=other.host)

    refused(shared.post("batches", batch, sensor.credential), 403, "foreign")
    refused(shared.post("heartbeat", make.heartbeat(other.host), sensor.credential), 403, "foreign")
    assert events_of(other) == set()


def test_one_bad_event_refuses_its_batch_and_nothing_of_it_is_stored(sensor):
    """The sensor finds the bad one by the index, sets it aside and sends the rest."""
    bad = make.entry(2, sensor.host) | {"mono": "late"}

    answer = sensor.send(*entries(sensor, 1), bad, *entries(sensor, 3))

    assert "events[1].mono" in refused(answer, 400, "malformed")
    assert answer.json()["index"] == 1
    assert events_of(sensor) == set()


def test_a_version_that_is_not_read_is_told_which_are(sensor):
    answer = sensor.send(*entries(sensor, 1), v=7)

    assert "version 7" in refused(answer, 426, "version")
    assert answer.json()["supported"] == [1]


@pytest.mark.parametrize("path", ["batches", "heartbeat"])
@pytest.mark.parametrize("credential", [None, "", "wrong", "nsentry-sensor-" + "x" * 43, "x" * 5000, "\x7f"])
def test_nothing_is_taken_without_a_credential(shared, path, credential):
    answer = shared.post(path, make.batch(make.entry(1)), credential)

    refused(answer, 401, "credential")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_credential_is_refused(shared, sensor):
    sensor.stored(*entries(sensor, 1))
    shared.command("sensors", "revoke", sensor.host)

    assert "enrol" in refused(sensor.send(*entries(sensor, 2)), 401, "revoked")
    assert shared.run("sensors", "revoke", sensor.host).returncode == 1


def test_a_token_is_good_as_often_as_it_says(shared):
    secret, ca = wire.decode_token(shared.command("token", "create", "--uses", "2"))
    assert ca == (shared.state / "ca.pem").read_text()

    answers = [shared.post("enroll", make.enrolment(secret, machine=None)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert "token create" in refused(answers[2], 401, "token")
    hosts = [wire.unpack(answer.content) for answer in answers[:2]]
    assert hosts[0]["host"] != hosts[1]["host"]
    assert hosts[0]["credential"] != hosts[1]["credential"]


def test_a_wrong_or_damaged_enrolment_is_refused(shared):
    refused(shared.post("enroll", make.enrolment("guess")), 401, "token")
    refused(shared.post("enroll", b"\x80"), 400, "malformed")
    refused(shared.post("enroll", make.enrolment("x", v=2)), 426, "version")
    refused(shared.post("enroll", make.enrolment("x" * 5000)), 400, "malformed")


def test_enrolling_again_ends_the_credential_before(shared):
    """Two sensors on one host would tell everything twice; a wiped one must not reuse its old ids."""
    first = shared.enrol(name="twice", machine="twice")
    second = shared.enrol(name="twice", machine="twice")

    assert first.host != second.host
    refused(first.send(), 401, "revoked")
    second.stored()


def test_a_body_that_announces_too_much_is_refused_unread(sensor):
    """The answer comes although not one byte of the body was sent."""
    with connection(sensor.served) as stream:
        stream.sendall(
            f"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sensor.credential}\r\n"
            f"Content-Length: {wire.MAX_BATCH_BYTES + 1}\r\n\r\n".encode()
        )
        assert stream.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_say_its_length_is_bounded_too(sensor):
    def endless():
        for _ in range(wire.MAX_BATCH_BYTES // 65536 + 2):
            yield b"\xc0" * 65536

    with sensor.served.session(sensor.credential) as session:
        try:
            answer = session.post(f"{sensor.served.url}/api/v1/batches", endless(), timeout=30)
        except requests.ConnectionError:
            return  # it was cut off while sending: refused as well
    refused(answer, 413, "size")


def test_an_event_as_large_as_the_contract_allows_is_taken(sensor):
    event = make.entry(1, sensor.host)
    event["process"]["argv"] = ["\u2620" * wire.MAX_TEXT] * 300

    sensor.stored(event)
    assert len(events_of(sensor)) == 1


def test_whatever_bytes_come_the_answer_is_a_refusal(sensor):
    """Never a 500, never anything stored."""
    chance = random.Random(20261124)  # noqa: S311 - no secret
    whole = wire.pack(make.batch(*entries(sensor, 1), host_id=sensor.host))
    bodies = [b"", b"\xc1", b"\x91" * 200_000, b"{}", b"\x00" * 1000, whole[:-1], whole[: len(whole) // 2]]
    bodies += [chance.randbytes(chance.randrange(1, 400)) for _ in range(30)]
    bodies += [b"\x81\xa1v\x01" + chance.randbytes(40) for _ in range(10)]
    with sensor.served.session(sensor.credential) as session:
        for path in ("batches", "heartbeat", "enroll"):
            for body in bodies:
                answer = session.post(f"{sensor.served.url}/api/v1/{path}", body, timeout=30)
                assert 400 <= answer.status_code < 500, (path, body, answer.text)
                assert answer.json()["error"]
    assert events_of(sensor) == set()


def test_hostile_text_is_kept_exactly_and_shown_harmlessly(sensor):
    words = ["\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe", "\x9b31m", "\x00", "<script>", "a\nb", "\U000e0041"]
    event = make.entry(1, sensor.host)
    event["process"]["argv"] = words
    sensor.stored(event)
    wait_for(sensor.served.judged)

    (row,) = sensor.served.read("entries", "list", "--host", sensor.host)
    assert row["process"]["argv"] == words
    for shown in (("list", "--host", sensor.host), ("show", row["id"])):
        printed = sensor.served.command("entries", *shown)
        assert all(line.isprintable() for line in printed.splitlines())
        assert "\\x1b[2J" in printed


def test_a_heartbeat_is_kept_with_the_skew_of_its_clock(shared, sensor):
    hour = 3600 * make.SECOND
    message = make.heartbeat(sensor.host, sent=time.time_ns() + hour, degraded=["no tracefs"])

    assert shared.post("heartbeat", message, sensor.credential).status_code == 200

    row = host_of(sensor)
    assert row["heartbeat"] == message
    assert abs(row["skew_ns"] - hour) < 60 * make.SECOND
    assert row["last_seen"] is not None
    assert row["last_event"] is None


def test_refusals_are_counted_by_cause_and_shown_with_their_host(shared, sensor):
    sensor.send(make.entry(1))
    sensor.send_bytes(b"\xc1")
    sensor.send_bytes(b"\xc1")
    shared.post("batches", b"", "a stranger")

    wait_for(lambda: host_of(sensor)["refused"] == {"foreign": 1, "malformed": 2})
    (row,) = [row for row in shared.read("sensors", "list") if row["id"] == sensor.host]
    assert row["refused"] == {"foreign": 1, "malformed": 2}
    assert "Refused of strangers: credential" in shared.command("sensors", "list")
    assert set(CAUSES) >= {"foreign", "malformed", "credential"}


def test_a_host_that_sends_too_much_at_once_is_told_to_wait_and_others_are_not(shared, sensor):
    other = shared.enrol(name="other", machine=None)
    head = (
        f"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sensor.credential}\r\n"
        "Content-Length: 1000\r\n\r\n"
    ).encode()
    with connection(shared) as first, connection(shared) as second:
        first.sendall(head)
        second.sendall(head)

        def told_to_wait():
            return sensor.send().status_code == 429

        wait_for(told_to_wait)
        answer = sensor.send()
        refused(answer, 429, "busy")
        assert answer.headers["retry-after"] == "1"
        other.stored(*entries(other, 1))


def test_only_the_own_ca_vouches_for_the_controller(shared):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(shared.url, timeout=10)
    with connection(shared) as stream:
        assert stream.version() in {"TLSv1.2", "TLSv1.3"}
        names = {value for _, value in stream.getpeercert()["subjectAltName"]}
    assert {"localhost", "127.0.0.1"} <= names


def test_nothing_is_spoken_without_tls(shared):
    where = urlsplit(shared.url)
    with socket.create_connection((where.hostname, where.port), 10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP")


PATHS = [
    "/",
    "/healthz",
    "/readyz",
    "/alerts",
    "/alerts.json",
    "/entries.json",
    "/hosts",
    "/live",
    "/nothing",
    "/docs",
]


@pytest.mark.parametrize(
    "path", [*PATHS, "/api/v1/batches", "/api/v1/heartbeat", "/api/v1/enroll", "/api/v1"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_no_address_answers_a_stranger(shared, path, method):
    with shared.session() as session:
        answer = session.request(method, shared.url + path, timeout=10, allow_redirects=False)
    assert answer.status_code in {400, 401, 405}, (answer.status_code, answer.text)
    assert "server" not in answer.headers


def test_health_is_told_to_the_operator(shared):
    with shared.operator() as session:
        assert session.get(f"{shared.url}/healthz", timeout=10).json() == {"status": "ok"}
        ready = session.get(f"{shared.url}/readyz", timeout=10)
    assert (ready.status_code, ready.json()["problems"]) == (200, [])


def connection(served):
    """A TLS connection for requests that no HTTP library would make."""
    where = urlsplit(served.url)
    context = ssl.create_default_context(cafile=str(served.state / "ca.pem"))
    plain = socket.create_connection((where.hostname, where.port), 30)
    return context.wrap_socket(plain, server_hostname=where.hostname)
