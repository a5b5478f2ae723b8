# SPDX-License-Identifier: Apache-2.0
"""Between a daemon and whoever listens to it: events come late, twice, in another order, or never.

    with Proxy(daemon.socket) as proxy:
        proxy.meddling.copies = 2

The daemon's socket is moved aside and this one listens in its place, so a sensor finds it where it looks for the
daemon. Only what the sensor hears of events is meddled with; everything else passes as it is.
"""

from __future__ import annotations

import contextlib
import heapq
import http.client
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sensor.enrich import protobuf
from sensor.enrich.daemon import AwayError, UnexpectedError
from sensor.enrich.grpc import Service
from sensor.records.containerd import SUBSCRIBE

_ASKS = 65536
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_HEADERS = 4
_OK = b"\x88"  # HPACK's static entry 8: `:status: 200` (RFC 7541, appendix A)


@dataclass
class Meddling:
    """What becomes of each event; may be changed at any time."""

    delay_s: tuple[float, float] = (0.0, 0.0)
    """Each waits for a random time between both: those that come together leave in another order."""
    copies: int = 1
    drops: Callable[[bytes], bool] = lambda _event: False
    held: threading.Event = field(default_factory=threading.Event)
    """While it is set nothing leaves; then all does, the latest first."""
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - the same order in each run


class Proxy:
    """In the place of one daemon's socket, until the end of the block."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.real = self.path.with_suffix(".real")
        self.meddling = Meddling()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.path.rename(self.real)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        if self.real.exists():
            self.real.replace(self.path)

    def cut(self) -> None:
        """End every connection, as a daemon does that is started anew."""
        with self._lock:
            open_, self._open = self._open, set()
        for each in open_:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        # What the sensor asks is sent in one piece, and is less than a socket's buffer holds.
        try:
            with client, contextlib.suppress(OSError, AwayError, UnexpectedError, http.client.HTTPException):
                asked = client.recv(_ASKS)
                if asked.startswith(b"GET /events") and b"nsentry" in asked:
                    self._lines(client, asked)
                elif SUBSCRIBE.encode() in asked and b"nsentry" in asked:
                    self._messages(client)
                elif asked:
                    self._pass(client, asked)
        finally:
            with self._lock:
                self._open.discard(client)

    def _pass(self, client: socket.socket, asked: bytes) -> None:
        with self._daemon() as daemon:
            daemon.sendall(asked)
            back = threading.Thread(target=_copy, args=(daemon, client), daemon=True)
            back.start()
            _copy(client, daemon)
            back.join()

    def _lines(self, client: socket.socket, asked: bytes) -> None:
        """Docker's and podman's: a line of JSON each, in a body without end."""
        with self._daemon() as daemon:
            daemon.sendall(asked)
            answer = http.client.HTTPResponse(daemon)
            answer.begin()
            kept = [f"{name}: {value}" for name, value in answer.getheaders() if name != "Content-Length"]
            client.sendall("\r\n".join([f"HTTP/1.1 {answer.status} OK", *kept, "", ""]).encode())
            ends = threading.Thread(target=_end_with, args=(client, daemon), daemon=True)
            ends.start()
            with Line(self.meddling, lambda line: client.sendall(b"%x\r\n%b\r\n" % (len(line), line))) as out:
                for line in iter(answer.readline, b""):
                    out.put(line)

    def _messages(self, client: socket.socket) -> None:
        """containerd's: a message of gRPC each. https://www.rfc-editor.org/rfc/rfc9113 for the frames."""
        stream = Service(str(self.real)).open(SUBSCRIBE, protobuf.pack({1: ['topic~="^/tasks/"']}))
        client.sendall(_frame(_SETTINGS, 0, 0) + _frame(_HEADERS, _END_HEADERS, 1, _OK))
        ends = threading.Thread(target=_end_with, args=(client, stream), daemon=True)
        ends.start()

        def send(message: bytes) -> None:
            client.sendall(_frame(_DATA, 0, 1, struct.pack(">BI", 0, len(message)) + message))

        with Line(self.meddling, send) as out, contextlib.closing(stream):
            while (message := stream.read(3600)) is not None:
                out.put(message)

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
            daemon.connect(str(self.real))
            with self._lock:
                self._open.add(daemon)
            try:
                yield daemon
            finally:
                with self._lock:
                    self._open.discard(daemon)


class Line:
    """Events on their way to one listener. `put` never waits."""

    def __init__(self, meddling: Meddling, send: Callable[[bytes], None]) -> None:
        self._meddling = meddling
        self._send = send
        self._waiting: list[tuple[float, int, bytes]] = []
        self._numbers = itertools.count()
        self._some = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._some:
            self._ended = True
            self._some.notify()
        self._thread.join()

    def put(self, event: bytes) -> None:
        """One that the daemon said."""
        meddling = self._meddling
        if meddling.drops(event):
            return
        with self._some:
            for _ in range(meddling.copies):
                due = time.monotonic() + meddling.chance.uniform(*meddling.delay_s)
                heapq.heappush(self._waiting, (due, next(self._numbers), event))
            self._some.notify()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while not self._ended:
                for event in self._due():
                    self._send(event)

    def _due(self) -> list[bytes]:
        with self._some:
            self._some.wait(0.02)
            if self._meddling.held.is_set():
                self._late = True
                return []
            found = []
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                found.append(heapq.heappop(self._waiting)[2])
            if self._late:
                self._late = False
                found.reverse()
            return found

    _late = False


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_ASKS):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _end_with(client: socket.socket, daemon: Any) -> None:
    """Whoever listened is gone: what is read for him ends. What he sends meanwhile says nothing of events."""
    with contextlib.suppress(OSError):
        while client.recv(_ASKS):
            pass
    with contextlib.suppress(OSError):
        daemon.shutdown(socket.SHUT_RDWR) if isinstance(daemon, socket.socket) else daemon.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload
