# SPDX-License-Identifier: Apache-2.0
"""The status socket: the sensor's own account of itself, one object a line."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sensor.fault import ExitCode, Fault
from sensor.wire import Event, Heartbeat

_PATH_MAX: Final = 107
_TIMEOUT_S: Final = 2.0
_READERS: Final = 8


class StatusSocket:
    """Answers "status" with the heartbeat, and "tail" with each event from then on."""

    def __init__(self, path: Path, account: Callable[[], Heartbeat], count: Callable[[str], None]) -> None:
        self._path = path
        self._account = account
        self._count = count
        self._readers: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Listen, in a thread of its own."""
        self._path.unlink(missing_ok=True)
        with _within(self._path) as name:
            self._server.bind(name)
        self._path.chmod(0o600)
        self._server.listen(8)
        self._thread.start()

    def stop(self) -> None:
        """Close all and remove the socket."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()

    def publish(self, event: Event) -> None:
        """Give an event to all that follow. Who does not read fast enough loses it, counted."""
        with self._lock:
            if not self._readers:
                return
            line = json.dumps(event).encode() + b"\n"
            for reader in list(self._readers):
                try:
                    sent = reader.send(line, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    self._count("status.tail_dropped")
                except OSError:
                    self._drop(reader)
                else:
                    if sent < len(line):  # half a line cannot be mended
                        self._drop(reader)

    def _drop(self, reader: socket.socket) -> None:
        self._readers.remove(reader)
        reader.close()

    def _run(self) -> None:
        while True:
            try:
                reader, _ = self._server.accept()
            except OSError:
                return
            try:
                self._serve(reader)
            except OSError:
                reader.close()

    def _serve(self, reader: socket.socket) -> None:
        reader.settimeout(_TIMEOUT_S)
        asked = reader.recv(16).strip()
        if asked == b"tail":
            with self._lock:
                if len(self._readers) < _READERS:
                    reader.setblocking(False)
                    self._readers.append(reader)
                    return
        if asked == b"status":
            reader.sendall(json.dumps(self._account()).encode() + b"\n")
        reader.close()


def ask(path: Path, what: str) -> Iterator[dict[str, Any]]:
    """What the running sensor answers, line by line. Raises Fault when none runs."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _within(path) as name:
            connection.connect(name)
    except OSError as error:
        raise Fault(
            f"no sensor answers at {path} ({error.strerror})",
            exit_code=ExitCode.UNREACHABLE,
            fix="nsentry-sensor run",
        ) from error
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        connection.sendall(what.encode() + b"\n")
        for line in lines:
            yield json.loads(line)


@contextlib.contextmanager
def _within(path: Path) -> Iterator[str]:
    """A name for the socket that fits sun_path (unix(7)): a deep folder is reached through a descriptor."""
    if len(str(path).encode()) <= _PATH_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
