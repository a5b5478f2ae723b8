# SPDX-License-Identifier: Apache-2.0
"""The little of RFC 6455 that a streaming server of the CRI asks of its client."""

from __future__ import annotations

import base64
import os
import socket
import struct
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

_CLOSE = 8


class WebSocket:
    """A connection that speaks `protocol`: binary messages, each with its channel as the first byte."""

    def __init__(self, url: str, protocol: str = "v4.channel.k8s.io", timeout_s: float = 30) -> None:
        at = urlsplit(url)
        self._socket = socket.create_connection((at.hostname, at.port), timeout_s)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        request = [
            f"GET {at.path}{'?' + at.query if at.query else ''} HTTP/1.1",
            f"Host: {at.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Protocol: {protocol}",
            "Origin: http://localhost",
        ]
        self._socket.sendall("\r\n".join([*request, "", ""]).encode())
        status = self._file.readline()
        assert b" 101 " in status, status
        while self._file.readline().strip():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, channel: int, data: bytes) -> None:
        """One message, short enough for a frame whose length has two bytes."""
        payload = bytes([channel]) + data
        # A client must mask; a mask of zeros is one.
        self._socket.sendall(struct.pack(">BBHI", 0x82, 0x80 | 126, len(payload), 0) + payload)

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Channel and data of each message, until the server closes."""
        while (head := self._file.read(2)) and len(head) == 2 and head[0] & 0xF != _CLOSE:
            length = head[1] & 0x7F
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self._file.read(size), "big")
            data = self._file.read(length)
            if data:
                yield data[0], data[1:]
