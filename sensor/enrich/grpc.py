# SPDX-License-Identifier: Apache-2.0
"""One question to a gRPC service on a unix socket, and its answer. No dependency, for no more than that.

gRPC over HTTP/2 (RFC 9113, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Each call has a
connection of its own, so no header of an answer has to be understood: an answer without a message is a
refusal. What could come without end is bounded, by bytes and by the deadline of the socket.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final

from sensor.enrich import daemon
from sensor.enrich.daemon import TIMEOUT_S, DeadlineSocket, UnexpectedError, away

MAX_BYTES: Final = 4 * 1024 * 1024

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MAX_FRAME: Final = 16384
"""What a peer may send in one frame unless it was allowed more."""
_MAX_FRAMES: Final = 4096
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 1, 1, 4, 8
_INITIAL_WINDOW_SIZE: Final = 4
_DEFAULT_WINDOW: Final = 65535


class RefusedError(UnexpectedError):
    """The service gave no answer to the question: unknown method, unknown object, or its own trouble."""


class Service:
    """A gRPC server, by its socket."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self.owner: int | None = None
        """The uid that listens there, once it was asked."""

    def call(self, method: str, message: bytes, namespace: str | None = None) -> bytes:
        """The answer to `message`, in one of containerd's namespaces where that is asked for.

        Raises AwayError, UnexpectedError, and RefusedError which is one.
        """
        try:
            with daemon.connect(self.path, time.monotonic() + self._timeout_s) as connected:
                self.owner = daemon.peer_uid(connected)
                connected.sendall(_question(method, message, namespace))
                body = b"".join(self._answer(connected))
        except OSError as error:
            raise away(self.path, error) from error
        if not body:
            raise RefusedError(f"{self.path} refused {method}")
        compressed, length = struct.unpack_from(">BI", body) if len(body) >= 5 else (1, 0)
        if compressed or len(body) != 5 + length:
            raise UnexpectedError(f"{self.path} sent something else than one message")
        return body[5:]

    def open(self, method: str, message: bytes) -> Stream:
        """Many answers to `message`, as they come. Raises AwayError."""
        try:
            connected = daemon.connect(self.path, time.monotonic() + self._timeout_s)
        except OSError as error:
            raise away(self.path, error) from error
        try:
            self.owner = daemon.peer_uid(connected)
            connected.sendall(_question(method, message))
        except OSError as error:
            connected.close()
            raise away(self.path, error) from error
        return Stream(self, connected)

    def _answer(self, connected: DeadlineSocket) -> Iterator[bytes]:
        """The data that the service sends on our stream, until it ends it."""
        left = MAX_BYTES + 5
        for _ in range(_MAX_FRAMES):
            kind, flags, stream, payload = self.frame(connected)
            if kind == _SETTINGS and not flags & _ACK:
                connected.sendall(_framed(_SETTINGS, _ACK, 0))
            elif kind == _PING and not flags & _ACK:
                connected.sendall(_framed(_PING, _ACK, 0, payload))
            elif kind in {_RST_STREAM, _GOAWAY}:
                raise RefusedError(f"{self.path} ended the connection")
            elif kind == _DATA and stream == 1:
                data = payload[1 : len(payload) - payload[0]] if flags & _PADDED and payload else payload
                left -= len(data)
                if left < 0:
                    raise UnexpectedError(f"{self.path} sent more than {MAX_BYTES} bytes")
                yield data
            if kind in {_DATA, _HEADERS} and stream == 1 and flags & _END_STREAM:
                return
        raise UnexpectedError(f"{self.path} sent more than {_MAX_FRAMES} frames")

    def frame(self, connected: DeadlineSocket) -> tuple[int, int, int, bytes]:
        """Kind, flags, stream and payload of the next frame. Raises OSError or UnexpectedError."""
        high, low, kind, flags, stream = struct.unpack(">BHBBI", self._read(connected, 9))
        length = high << 16 | low
        if length > _MAX_FRAME:
            raise UnexpectedError(f"{self.path} does not speak HTTP/2")
        return kind, flags, stream & 0x7FFFFFFF, self._read(connected, length)

    def _read(self, connected: DeadlineSocket, length: int) -> bytes:
        data = bytearray(length)
        at = 0
        while at < length:
            got = connected.recv_into(memoryview(data)[at:])
            if not got:
                raise UnexpectedError(f"{self.path} ended its answer early")
            at += got
        return bytes(data)


class Stream:
    """The answers of one call that goes on. For one thread; `close` is for any."""

    def __init__(self, service: Service, connected: DeadlineSocket) -> None:
        self._service = service
        self._connected = connected
        self._data = bytearray()
        self._begun = False
        self._end = False

    def read(self, wait_s: float) -> bytes | None:
        """The next answer, None where the service has ended. Raises AwayError: none in time; UnexpectedError."""
        self._connected.deadline = time.monotonic() + wait_s
        try:
            while not self._end:
                whole = self._whole()
                if whole is not None:
                    return whole
                self._more()
        except OSError as error:
            raise away(self._service.path, error) from error
        return None

    def close(self) -> None:
        """End the call, and a `read` that waits."""
        with contextlib.suppress(OSError):
            self._connected.shutdown(socket.SHUT_RDWR)
        self._connected.close()

    def _whole(self) -> bytes | None:
        if len(self._data) < 5:
            return None
        compressed, length = struct.unpack_from(">BI", self._data)
        if compressed or length > MAX_BYTES:
            raise UnexpectedError(f"{self._service.path} sent an answer that is not read")
        if len(self._data) < 5 + length:
            return None
        message = bytes(self._data[5 : 5 + length])
        del self._data[: 5 + length]
        return message

    def _more(self) -> None:
        kind, flags, stream, payload = self._service.frame(self._connected)
        if kind == _SETTINGS and not flags & _ACK:
            self._connected.sendall(_framed(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            self._connected.sendall(_framed(_PING, _ACK, 0, payload))
        elif kind in {_RST_STREAM, _GOAWAY}:
            raise RefusedError(f"{self._service.path} ended the connection")
        elif kind == _DATA and stream == 1:
            if payload:  # what was read may be sent anew, on the stream and on the connection
                room = struct.pack(">I", len(payload))
                self._connected.sendall(
                    _framed(_WINDOW_UPDATE, 0, 0, room) + _framed(_WINDOW_UPDATE, 0, 1, room)
                )
            self._data += payload[1 : len(payload) - payload[0]] if flags & _PADDED and payload else payload
        if kind == _HEADERS and stream == 1:
            if flags & _END_STREAM and not self._begun:
                raise RefusedError(f"{self._service.path} has no such service")
            self._begun = True
        self._end = self._end or (kind in {_DATA, _HEADERS} and stream == 1 and bool(flags & _END_STREAM))


def _question(method: str, message: bytes, namespace: str | None = None) -> bytes:
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "nsentry",
    }
    if namespace is not None:
        headers["containerd-namespace"] = namespace
    body = struct.pack(">BI", 0, len(message)) + message
    frames = [body[at : at + _MAX_FRAME] for at in range(0, len(body), _MAX_FRAME)]
    if len(body) > _DEFAULT_WINDOW:
        raise ValueError("a question may not be longer than the window that every server opens")
    return b"".join(
        [
            _PREFACE,
            _framed(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, MAX_BYTES)),
            _framed(_WINDOW_UPDATE, 0, 0, struct.pack(">I", MAX_BYTES - _DEFAULT_WINDOW)),
            _framed(_HEADERS, _END_HEADERS, 1, b"".join(map(_header, headers.items()))),
            *(_framed(_DATA, 0, 1, frame) for frame in frames[:-1]),
            _framed(_DATA, _END_STREAM, 1, frames[-1]),
        ]
    )


def _header(pair: tuple[str, str]) -> bytes:
    """A literal that enters no table (RFC 7541, 6.2.2), neither name nor value longer than 126 bytes."""
    name, value = (part.encode("ascii") for part in pair)
    if max(len(name), len(value)) > 126:
        raise ValueError(f"{pair[0]} is too long")
    return b"\0%c%b%c%b" % (len(name), name, len(value), value)


def _framed(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload
