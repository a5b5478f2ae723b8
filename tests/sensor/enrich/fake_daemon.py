# SPDX-License-Identifier: Apache-2.0
"""Something that listens on a unix socket and answers as it is told: right, wrong, slowly or never."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[socket.socket, str], None]
"""What to do with a connection and the path that was asked for."""


class FakeDaemon:
    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = str(path)
        self.answer = answer
        self.asked: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def __enter__(self) -> FakeDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def hang(self, connection: socket.socket, path: str) -> None:
        """An answer: take the request, and never say anything."""
        self._stopped.wait(30)

    def trickle(self, connection: socket.socket, path: str) -> None:
        """An answer: one byte of it every few milliseconds, without end."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not self._stopped.wait(0.005):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                more = connection.recv(4096)
                if not more:
                    return
                request += more
            path = request.split()[1].decode()
            self.asked.append(path)
            self.answer(connection, path)


def reply(connection: socket.socket, status: int, body: bytes, *headers: str) -> None:
    """One whole answer of HTTP."""
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    try:
        connection.sendall("\r\n".join(head).encode() + body)
    except BrokenPipeError:
        return


def records(*known: dict[str, Any]) -> Answer:
    """A daemon that knows these containers."""
    by_id = {record["Id"]: record for record in known}

    def answer(connection: socket.socket, path: str) -> None:
        record = by_id.get(path.split("/")[3])
        reply(
            connection,
            200 if record else 404,
            json.dumps(record or {"message": "No such container"}).encode(),
        )

    return answer


def record(container_id: str, **changes: Any) -> dict[str, Any]:
    """What Docker 20.10 answers to an inspect, cut to what is read of it."""
    return {
        "Id": container_id,
        "Name": "/web",
        "State": {"Pid": 60},
        "Config": {"Image": "busybox:test", "User": "", "Labels": {"team": "pay"}},
        "HostConfig": {"Privileged": False},
        **changes,
    }
