# SPDX-License-Identifier: Apache-2.0
"""The CRI is asked over a socket that may be anybody's: what it says is taken field by field, or refused."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich import grpc, protobuf
from sensor.enrich.containerd import Containerd
from sensor.enrich.cri import Cri
from sensor.enrich.daemon import AwayError, HungError, UnexpectedError
from sensor.enrich.grpc import RefusedError, Service

A, POD = "a" * 64, "b" * 64

CONTAINER = {
    1: A,
    2: POD,
    3: {1: "web", 2: 0},
    4: {1: "shop/web:7"},
    8: {"io.kubernetes.container.name": "web", "tier": "container"},
}
SANDBOX = {1: POD, 2: {1: "cart-x", 2: "uid-1", 3: "shop"}, 5: {"app": "cart", "tier": "pod"}}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def answer(message):
    """What a server sends for one message, headers and trailers of no content."""
    body = struct.pack(">BI", 0, len(message)) + message
    data = [frame(0, 0, 1, body[at : at + 16384]) for at in range(0, len(body), 16384)]
    return frame(4, 0, 0) + frame(6, 0, 0, b"12345678") + frame(1, 4, 1) + b"".join(data) + frame(1, 5, 1)


REFUSAL = frame(4, 0, 0) + frame(1, 5, 1)


@pytest.fixture
def serve(tmp_path):
    """A function that answers each connection to a socket with the next of some bytes; the last one again."""
    with contextlib.ExitStack() as ends:

        def serving(*answers, hang=False):
            path = str(tmp_path / "s")
            listener = ends.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(path)
            listener.listen()

            def loop():
                left = list(answers)
                with contextlib.suppress(OSError):
                    while True:
                        peer, _ = listener.accept()
                        with peer:
                            peer.recv(65536)
                            peer.sendall(left.pop(0) if len(left) > 1 else left[0])
                            if not hang:
                                peer.shutdown(socket.SHUT_WR)
                            while peer.recv(65536):
                                pass

            thread = threading.Thread(target=loop, daemon=True)
            thread.start()
            ends.callback(thread.join, 10)
            ends.callback(listener.shutdown, socket.SHUT_RDWR)
            return path

        yield serving


def packed(*items):
    return answer(protobuf.pack({1: list(items)}))


def test_a_container_has_its_pods_labels_and_its_own_over_them(serve):
    found = Cri(serve(packed(CONTAINER), packed(SANDBOX))).facts(A)
    assert (found.name, found.image) == ("web", "shop/web:7")
    assert found.labels == {"io.kubernetes.container.name": "web", "tier": "container", "app": "cart"}
    assert found.pod == {"name": "cart-x", "namespace": "shop", "uid": "uid-1"}


def test_a_sandbox_has_its_pod_and_no_name(serve):
    found = Cri(serve(packed(), packed(SANDBOX))).facts(POD)
    assert (found.name, found.image, found.labels["app"], found.pod["name"]) == (None, None, "cart", "cart-x")


def test_an_object_whose_id_only_begins_like_it_is_not_taken(serve):
    assert Cri(serve(packed({**CONTAINER, 1: A + "0"}), packed())).facts(A) is None


def test_a_container_whose_pod_is_not_known_is_told_without_it(serve):
    found = Cri(serve(packed(CONTAINER), packed())).facts(A)
    assert (found.name, found.pod) == ("web", None)


def test_no_message_is_a_refusal(serve):
    with pytest.raises(RefusedError):
        Cri(serve(REFUSAL)).facts(A)


def test_a_stream_without_any_answer_is_a_refusal(serve):
    stream = Service(serve(REFUSAL)).open("/a", b"")
    with contextlib.closing(stream), pytest.raises(RefusedError, match="no such service"):
        stream.read(5.0)


def test_a_stream_that_ends_after_an_answer_is_an_end(serve):
    with contextlib.closing(Service(serve(answer(b"one"))).open("/a", b"")) as stream:
        assert stream.read(5.0) == b"one"
        assert stream.read(5.0) is None


def test_a_long_message_comes_in_frames_and_more_than_the_bound_is_refused(serve, monkeypatch):
    long = protobuf.pack({1: "x" * 100_000})
    service = Service(serve(answer(long)))
    assert service.call("/a", b"") == long
    monkeypatch.setattr(grpc, "MAX_BYTES", 70_000)
    with pytest.raises(UnexpectedError, match="more than"):
        service.call("/a", b"")


def test_a_service_that_says_nothing_is_hung_and_one_that_is_not_there_is_away(serve, tmp_path):
    with pytest.raises(HungError):
        Service(serve(frame(4, 0, 0), hang=True), timeout_s=0.1).call("/a", b"")
    with pytest.raises(AwayError):
        Service(str(tmp_path / "none")).call("/a", b"")


def test_another_protocol_is_unexpected(serve):
    with pytest.raises(UnexpectedError):
        Service(serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")).call("/a", b"")


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_the_errors(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(UnexpectedError):
            list(Service("unused")._answer(ours))


@given(st.binary(max_size=300))
def test_no_message_does_anything_but_a_value_error(data):
    with contextlib.suppress(ValueError):
        protobuf.unpack(data)


FIELDS = st.dictionaries(
    st.integers(1, 1000),
    st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300)),
    max_size=8,
)


@given(FIELDS)
def test_what_was_packed_is_unpacked(fields):
    assert protobuf.unpack(protobuf.pack(fields)) == {number: [value] for number, value in fields.items()}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), min_size=1, max_size=8))
def test_a_map_comes_back(pairs):
    assert protobuf.mapping(protobuf.unpack(protobuf.pack({7: pairs})), 7) == pairs


def test_a_container_has_its_image_by_digest_and_the_ports_that_its_pod_declares(serve):
    ports = '[{"containerPort":80,"protocol":"TCP"},{"hostPort":53,"containerPort":53,"protocol":"UDP"},7]'
    one = {1: "c1", 2: "p1", 3: {1: "web"}, 5: "sha256:00", 9: {"io.kubernetes.container.ports": ports}}
    found = Cri(serve(packed(one), packed())).facts("c1")
    assert found.settings["image_digest"] == "sha256:00"
    assert found.settings["ports"] == ["0.0.0.0:53->53/udp", "80/tcp"]


def test_containerd_tells_digest_labels_and_restart_policy_of_one_that_ctr_made(serve):
    made = {1: "c1", 2: {"containerd.io/restart.policy": "always", "a": "b"}, 3: "docker.io/x:1"}
    socket_path = serve(packed(made), packed({1: "docker.io/x:1", 3: {1: "type", 2: "sha256:11"}}))
    found = Containerd(socket_path).facts("c1", "default")
    assert (found.image, found.labels["a"], found.settings["restart"]) == ("docker.io/x:1", "b", "always")
    assert (found.settings["image_digest"], found.settings["ports"]) == ("sha256:11", [])
