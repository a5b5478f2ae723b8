# SPDX-License-Identifier: Apache-2.0
"""Syslog: the header of RFC 5424, over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

Syslog has no acknowledgement. What is sent counts as told once the peer's kernel has it (SIOCOUTQ is 0); when a
connection ends, what was sent last on it is told again.
"""

from __future__ import annotations

import fcntl
import re
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Final

from controller.export.formats import FORMATS
from controller.export.sender import TIMEOUT_S, LostError, RefusedError, SendError, tls_context
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from controller.export.destination import Destination
    from controller.export.item import Item

FACILITY: Final = 13
"""Log audit."""
MAX_DATAGRAM: Final = 65_000
_SEVERITIES: Final = {0: 6, 1: 5, 2: 4, 3: 3, 4: 2}
_SIOCOUTQ: Final = 0x5411
_POLL_S: Final = 0.01


def message(item: Item, text: str) -> bytes:
    """The message of RFC 5424 whose MSG is `text`. Its MSGID is the activity."""
    priority = FACILITY * 8 + _SEVERITIES[item.severity]
    host = re.sub(r"[^\x21-\x7e]", "_", item.host)[:255] or "-"
    head = f"<{priority}>1 {rfc3339(item.time)} {host} nsentry - {item.activity} -"
    return f"{head} {text}".encode("utf-8", "backslashreplace")


def open_syslog(destination: Destination) -> Stream | Datagrams:
    """The sender for its address."""
    if destination.url().scheme == "udp":
        return Datagrams(destination)
    return Stream(destination)


class Stream:
    """Over TCP, with TLS where the address says so."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._encode = FORMATS[destination.chosen_format]
        tls = destination.url().scheme == "tls"
        self._context = tls_context(destination) if tls else None
        self._lines = destination.framing == "lines" and not tls
        self._socket: socket.socket | None = None

    def send(self, item: Item) -> None:
        """See Sender."""
        data = message(item, self._encode(item))
        framed = data + b"\n" if self._lines else b"%d %s" % (len(data), data)
        connection = self._connected()
        try:
            _must_stand(connection)
            connection.sendall(framed)
        except OSError as error:
            self.close()
            raise LostError(f"the connection ended: {_said(error)}") from error

    def flush(self) -> None:
        """Waits until the peer has acknowledged every byte."""
        if self._socket is None:
            return
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while _unsent(self._socket):
                _must_stand(self._socket)
                if time.monotonic() > deadline:
                    raise TimeoutError("what was sent is not acknowledged")
                time.sleep(_POLL_S)
            _must_stand(self._socket)
        except OSError as error:
            self.close()
            raise LostError(f"the connection ended: {_said(error)}") from error

    def close(self) -> None:
        """See Sender."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is not None:
            return self._socket
        host, port = self._destination.endpoint()
        try:
            plain = socket.create_connection((host, port), TIMEOUT_S)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = plain
            if self._context is not None:
                self._socket = self._context.wrap_socket(plain, server_hostname=host)
        except OSError as error:
            self.close()
            raise SendError(f"{host}:{port}: {_said(error)}") from error
        return self._socket


class Datagrams:
    """Over UDP: nothing tells whether anybody listens."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._encode = FORMATS[destination.chosen_format]
        self._socket: socket.socket | None = None

    def send(self, item: Item) -> None:
        """See Sender."""
        data = message(item, self._encode(item))
        if len(data) > MAX_DATAGRAM:
            raise RefusedError(f"{len(data)} bytes do not fit into a datagram: use tls:// or tcp://")
        try:
            if self._socket is None:
                host, port = self._destination.endpoint()
                family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
                self._socket = socket.socket(family, socket.SOCK_DGRAM)
                self._socket.connect(place)
            self._socket.send(data)
        except OSError as error:
            self.close()
            raise SendError(_said(error)) from error

    def flush(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """See Sender."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _must_stand(connection: socket.socket) -> None:
    """OSError when the peer has gone; what it may say is read away, for syslog has no answers."""
    connection.settimeout(0)
    try:
        if connection.recv(4096) == b"":
            raise ConnectionResetError("closed by the receiver")
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    finally:
        connection.settimeout(TIMEOUT_S)


def _unsent(connection: socket.socket) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), _SIOCOUTQ, b"\0" * 4))[0]
    return count


def _said(error: OSError) -> str:
    return str(getattr(error, "verify_message", "") or error.strerror or error) or type(error).__name__
