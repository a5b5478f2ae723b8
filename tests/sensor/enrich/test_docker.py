# SPDX-License-Identifier: Apache-2.0
"""The client of Docker's API gets what it asks for, and gets away from a daemon that does not behave."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor import wire
from sensor.enrich import docker, facts
from sensor.enrich.daemon import AwayError, DeadlineSocket, HungError, UnexpectedError
from sensor.enrich.docker import Docker, describe
from tests.sensor.enrich.fake_daemon import FakeDaemon, record, records, reply

A, B = "a1" * 32, "0f" * 32


@pytest.fixture
def serve(tmp_path):
    daemons: list[FakeDaemon] = []

    def start(answer) -> FakeDaemon:
        daemons.append(FakeDaemon(tmp_path / f"{len(daemons)}.sock", answer))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.__exit__()


def test_a_container_that_the_daemon_knows(serve):
    client = Docker(serve(records(record(A))).path)
    assert client.inspect(A)["Name"] == "/web"
    assert client.owner == os.getuid()


def test_a_container_that_it_does_not_know_is_none(serve):
    assert Docker(serve(records()).path).inspect(A) is None


def test_what_is_no_id_is_not_asked_for(serve):
    daemon = serve(records())
    for odd in ("../../images", "a/b", "", "a?b", "x" * 200, "a\r\nHost: b"):
        assert Docker(daemon.path).inspect(odd) is None
    assert daemon.asked == []


def test_the_version_is_negotiated_with_a_daemon_that_wants_a_newer_one(serve):
    def answer(connection, path):
        if path == "/_ping":
            reply(connection, 200, b"OK", "Api-Version: 1.52")
        elif path.startswith("/v1.52/"):
            reply(connection, 200, json.dumps(record(A)).encode())
        else:
            reply(connection, 400, b'{"message":"client version 1.41 is too old. Minimum supported is 1.44"}')

    daemon = serve(answer)
    client = Docker(daemon.path)
    assert client.inspect(A)["Id"] == A
    assert client.inspect(A)["Id"] == A
    assert [path.split("/")[1] for path in daemon.asked] == ["v1.41", "_ping", "v1.52", "v1.52"]


def test_a_daemon_that_is_not_there_is_away(tmp_path):
    with pytest.raises(AwayError, match="no-such"):
        Docker(str(tmp_path / "no-such.sock")).inspect(A)


def test_a_socket_that_nobody_listens_on_is_away(tmp_path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
    with pytest.raises(AwayError):
        Docker(str(tmp_path / "s")).inspect(A)


@pytest.mark.parametrize("way", ["hang", "trickle"])
def test_a_daemon_that_does_not_come_to_an_end_is_left_at_the_deadline(serve, way):
    daemon = serve(records())
    daemon.answer = getattr(daemon, way)
    began = time.monotonic()
    with pytest.raises(HungError):
        Docker(daemon.path, timeout_s=0.2).inspect(A)
    assert time.monotonic() - began < 20, "each byte must not begin the time anew"


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection, _: reply(connection, 500, b"{}"),
        lambda connection, _: reply(connection, 200, b"no json"),
        lambda connection, _: reply(connection, 200, b"[" * 100_000),
        lambda connection, _: reply(connection, 200, b"[]"),
        lambda connection, _: reply(connection, 200, json.dumps(record(B)).encode()),
        lambda connection, _: reply(connection, 200, b" " * (docker.MAX_BYTES + 1)),
        lambda connection, _: reply(connection, 400, b""),
        lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
        lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"),
        lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200),
    ],
)
def test_what_is_not_the_api_is_unexpected(serve, answer):
    with pytest.raises(UnexpectedError):
        Docker(serve(answer).path).inspect(A)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_do_anything_but_the_two_errors(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        client = Docker("unused")
        connection = docker._Connection("unused", time.monotonic() + 5)
        connection.connect = lambda: None
        connection.sock = DeadlineSocket(fileno=os.dup(ours.fileno()))
        connection.sock.deadline = time.monotonic() + 5
        client._connection = lambda: connection
        with contextlib.suppress(AwayError, UnexpectedError):
            client.inspect(A)


def test_a_path_longer_than_a_socket_address_is_reached(serve, tmp_path):
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    with FakeDaemon(tmp_path / "short.sock", records(record(A))):
        (tmp_path / "short.sock").rename(folder / "docker.sock")
        assert Docker(str(folder / "docker.sock")).inspect(A)["Id"] == A


S = 1_000_000_000


def test_the_record_becomes_facts():
    assert replace(describe(record(A)), settings=None) == facts.Facts(
        name="web", image="busybox:test", labels={"team": "pay"}, user="", privileged=False, checks=()
    )


@pytest.mark.parametrize(
    ("declared", "podman", "argv"),
    [
        ({"Test": ["CMD", "/check", "-x"]}, False, ("/check", "-x")),
        ({"Test": ["CMD-SHELL", "curl a || exit 1"]}, False, ("/bin/sh", "-c", "curl a || exit 1")),
        ({"Test": ["CMD-SHELL", "curl a || exit 1"]}, True, ("/bin/sh", "-c", "curl a || exit 1")),
        ({"Test": ["NONE"]}, False, None),
        ({"Test": []}, False, None),
        ({"Test": ["CMD", 7]}, False, None),
        ({"Test": "CMD"}, False, None),
        (None, False, None),
    ],
)
def test_a_health_check_is_what_the_runtime_executes_for_it(declared, podman, argv):
    config = {"Healthcheck": declared, "User": "app", "WorkingDir": "/srv"}
    found = describe(record(A, Config=config), podman=podman).checks
    assert [(check.argv, check.user, check.folder) for check in found] == (
        [(argv, "app", "/srv")] if argv else []
    )
    assert [check.also for check in found if check.also] == ([("sh", *argv[1:])] if podman else [])


@pytest.mark.parametrize(
    ("times", "podman", "pace"),
    [
        ({}, False, facts.Pace(30 * S, first_period=5 * S)),
        (
            {"Interval": 2 * S, "StartPeriod": 9 * S},
            False,
            facts.Pace(2 * S, first_period=2 * S, first_for=9 * S),
        ),
        (
            {"StartInterval": S, "StartPeriod": 9 * S},
            False,
            facts.Pace(30 * S, first_period=S, first_for=9 * S),
        ),
        ({"Interval": 2 * S, "StartPeriod": 9 * S}, True, facts.Pace(2 * S)),
        ({}, True, facts.ANY_TIME),
        ({"Interval": "2s", "StartPeriod": -1}, True, facts.ANY_TIME),
    ],
)
def test_a_health_check_is_run_at_the_runtimes_pace(times, podman, pace):
    config = {"Healthcheck": {"Test": ["CMD", "/check"], **times}}
    (check,) = describe(record(A, Config=config), podman=podman).checks
    assert check.pace == pace


def test_a_check_by_a_shell_is_run_by_the_shell_of_the_image():
    config = {"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-ec"]}
    (check,) = describe(record(A, Config=config)).checks
    assert check.argv == ("/bin/bash", "-ec", "a")


def test_labels_of_kubernetes_name_the_pod():
    labels = {
        "io.kubernetes.pod.name": "cart",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "u",
    }
    found = describe(record(A, Config={"Labels": labels}))
    assert found.pod == {"name": "cart", "namespace": "shop", "uid": "u"}


def test_labels_are_bounded_in_number_and_length():
    labels = {f"{index:03}" + "k" * 1000: "v" * 1000 for index in range(1000)}
    kept = describe(record(A, Config={"Labels": labels})).labels
    assert len(kept) == facts.MAX_LABELS
    assert {len(key) for key in kept} == {len(value) for value in kept.values()} == {facts.MAX_LABEL}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
sections = st.sampled_from(
    ["Name", "State", "Config", "HostConfig", "Labels", "Image", "User", "Privileged", "Pid"]
)


@given(
    st.dictionaries(sections, json_values | st.dictionaries(sections, json_values, max_size=4), max_size=6)
)
def test_any_document_can_be_described_and_packed(document):
    found = describe(document)
    wire.pack(
        {"v": 1, "facts": [found.name, found.image, found.labels, found.pod, found.user, found.privileged]}
    )
    docker.init_pid(document)
