# SPDX-License-Identifier: Apache-2.0
"""Only the pinned CA is trusted, and every way in which a collector cannot be reached has its own sentence."""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import suppress

import pytest

from sensor import wire
from sensor.fault import ExitCode, Fault
from sensor.uplink import Uplink
from tests.sensor.collector import CREDENTIAL, HANG_UP, Authority

BODY = wire.pack_batch(
    {"id": "h", "boot": "b", "name": "n", "kernel": "k", "os": "o", "arch": "a"}, "1", 1, []
)


def failure(url, ca, **more) -> Fault:
    uplink = Uplink(url, ca, CREDENTIAL, **more)
    with pytest.raises(Fault) as caught:
        uplink.post("/api/v1/batches", BODY)
    uplink.close()
    assert CREDENTIAL not in caught.value.sentence + caught.value.fix
    return caught.value


def test_one_connection_serves_many_requests(collector, ca):
    uplink = Uplink(collector.url, ca, CREDENTIAL)
    ports = set()
    original = collector.store

    def store(batch):
        ports.add(collector._server and len(collector._server._open))
        return original(batch)

    collector.store = store
    for _ in range(3):
        assert uplink.post("/api/v1/batches", BODY).status == 200
    uplink.close()
    assert ports == {1}


def test_another_ca_is_not_trusted(make_collector, ca):
    stranger = make_collector(authority=Authority("somebody else"))
    fault = failure(stranger.url, ca)
    assert "is not signed by the CA that this sensor trusts" in fault.sentence
    assert "enrol again" in fault.fix
    assert fault.exit_code == ExitCode.CONFIG
    assert stranger.requests == []


def test_the_environment_cannot_add_a_ca_nor_a_proxy(make_collector, ca, tmp_path, monkeypatch):
    other = Authority("somebody else")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(other.pem)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(bundle))
    assert "not signed by the CA" in failure(make_collector(authority=other).url, ca).sentence
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    uplink = Uplink(make_collector().url, ca, CREDENTIAL)
    assert uplink.post("/api/v1/batches", BODY).status == 200
    uplink.close()


def test_an_expired_certificate_points_at_clock_and_renewal(make_collector, ca):
    fault = failure(make_collector(days=(-30, -1)).url, ca)
    assert "has expired" in fault.sentence
    assert "renew" in fault.fix
    assert fault.exit_code == ExitCode.UNREACHABLE


def test_a_certificate_of_the_future_points_at_the_clock(make_collector, ca):
    fault = failure(make_collector(days=(2, 30)).url, ca)
    assert "is not valid yet" in fault.sentence
    assert "clock" in fault.fix


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(make_collector, ca, host):
    collector = make_collector(names=("collector.example", "192.0.2.7"))
    fault = failure(f"https://{host}:{collector.port}", ca)
    assert f"is not made for {host}" in fault.sentence
    assert fault.exit_code == ExitCode.CONFIG


def test_nobody_listening_is_said_with_the_place(collector, ca):
    collector.kill()
    fault = failure(collector.url, ca)
    assert fault.sentence == f"nothing listens at localhost:{collector.port}"
    assert "nsentry-controller serve" in fault.fix
    assert fault.exit_code == ExitCode.UNREACHABLE


def test_an_unknown_name_is_said(ca):
    fault = failure("https://no-such-host.invalid:8443", ca)
    assert fault.sentence == "the name no-such-host.invalid is not known"
    assert fault.exit_code == ExitCode.UNREACHABLE


def test_a_silent_address_times_out(ca):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fault = failure(f"https://localhost:{silent.getsockname()[1]}", ca, timeout_s=0.2)
    assert "does not answer in time" in fault.sentence
    assert fault.exit_code == ExitCode.UNREACHABLE


def test_a_plain_http_server_is_told_from_a_controller(ca):
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer():
            connection, _ = plain.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        fault = failure(f"https://localhost:{plain.getsockname()[1]}", ca)
        thread.join()
    assert "does not speak TLS as a controller does" in fault.sentence
    assert fault.exit_code == ExitCode.UNREACHABLE


def test_a_connection_that_breaks_is_said(collector, ca):
    collector.always = HANG_UP
    fault = failure(collector.url, ca)
    assert "the connection to localhost" in fault.sentence
    assert fault.exit_code == ExitCode.UNREACHABLE


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\x00"])
def test_a_ca_file_that_cannot_be_used_is_bad_configuration(collector, tmp_path, content):
    path = tmp_path / "other.pem"
    if content is not None:
        path.write_bytes(content)
    fault = failure(collector.url, path)
    assert str(path) in fault.sentence
    assert fault.exit_code == ExitCode.CONFIG


def test_a_proxy_that_is_not_there_is_named(collector, ca):
    fault = failure(collector.url, ca, proxy="http://127.0.0.1:1")
    assert "proxy" in fault.sentence
    assert fault.exit_code == ExitCode.UNREACHABLE


def _proxy(asked: list[bytes]) -> socket.socket:
    """One CONNECT, its head put into `asked`, and then bytes both ways until an end hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        asked.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        with client, socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            there = threading.Thread(target=pump, args=(client, server))
            there.start()
            pump(server, client)
            there.join()

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_through_a_proxy_that_wants_a_password_the_tls_goes_to_the_controller(collector, ca):
    asked: list[bytes] = []
    with _proxy(asked) as listener:
        uplink = Uplink(
            collector.url, ca, CREDENTIAL, proxy=f"http://u:p%40ss@127.0.0.1:{listener.getsockname()[1]}"
        )
        assert uplink.post("/api/v1/batches", BODY).status == 200
        uplink.close()
    assert base64.b64encode(b"u:p@ss") in asked[0]
    assert CREDENTIAL.encode() not in asked[0]


def test_of_an_endless_answer_only_a_bounded_part_is_read(collector, ca):
    collector.always = b"x" * 5_000_000
    uplink = Uplink(collector.url, ca, CREDENTIAL)
    assert len(uplink.post("/api/v1/batches", BODY).body) <= 64 * 1024
    uplink.close()
