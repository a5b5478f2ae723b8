# SPDX-License-Identifier: Apache-2.0
"""The status socket: how the sensor is, and its events as they happen, for whoever may open its state folder.

A client sends one line. "status" is answered by one line of JSON, the heartbeat; "tail" by a line of JSON for
each event from then on. A reader that is slow, silent or gone costs a bounded amount of memory and no time of
the sensor: each has a queue of its own, and learns by a line {"dropped": n} what it missed.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from sensor.fault import ExitCode, Fault
from sensor.health import Health

_log: Final = logging.getLogger(__name__)

SOCKET_NAME: Final = "status.sock"
MAX_READERS: Final = 16
MAX_QUEUED_BYTES: Final = 1024 * 1024
"""For one reader that does not keep up."""
_MAX_REQUEST: Final = 64
_REQUEST_TIMEOUT_S: Final = 5.0
"""Time for a client to say what it wants, and for an answer that is not a tail to be taken."""


class Reader:
    """One connection: what it asked for, and what it has not taken yet."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.connection = connection
        self.deadline: float | None = now + _REQUEST_TIMEOUT_S
        self.request = b""
        self.tails = False
        self.closes = False
        """Once its queue is empty."""
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._dropped = 0
        self._lock = threading.Lock()

    def offer(self, line: bytes) -> bool:
        """Queue a line; False when it was dropped, for the reader is too slow."""
        with self._lock:
            if self._queued + len(line) > MAX_QUEUED_BYTES:
                self._dropped += 1
                return False
            if self._dropped:
                self._push(json.dumps({"dropped": self._dropped}).encode() + b"\n")
                self._dropped = 0
            self._push(line)
            return True

    def flush(self) -> bool:
        """Send what the connection takes without waiting; True when nothing is left. Raises OSError."""
        with self._lock:
            while self._queue:
                try:
                    sent = self.connection.send(self._queue[0])
                except BlockingIOError:
                    return False
                self._queued -= sent
                if sent < len(self._queue[0]):
                    self._queue[0] = self._queue[0][sent:]
                    return False
                self._queue.popleft()
            return True

    def waits(self) -> bool:
        """Something is queued."""
        return bool(self._queue)

    def _push(self, line: bytes) -> None:
        self._queue.append(line)
        self._queued += len(line)


class StatusSocket:
    """Serves the socket from a thread of its own. publish() is for the pipeline, and never waits."""

    def __init__(self, state_dir: Path, health: Health) -> None:
        self._state_dir = state_dir
        self._health = health
        self._readers: dict[int, Reader] = {}
        self._tails: tuple[Reader, ...] = ()
        """A new tuple for each change, so that publish() needs no lock."""
        self._selector = selectors.DefaultSelector()
        self._bell = socket.socketpair()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen, and serve in a thread. Raises OSError where the socket cannot be made."""
        self._listener = _listen(self._state_dir)
        self._selector.register(self._listener, selectors.EVENT_READ)
        for end in self._bell:
            end.setblocking(False)
        self._selector.register(self._bell[0], selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and remove the socket."""
        self._stopping = True
        self._ring()
        if self._thread.ident is not None:
            self._thread.join(2.0)
        (self._state_dir / SOCKET_NAME).unlink(missing_ok=True)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Show an event to those who follow; costs next to nothing while nobody does."""
        readers = self._tails
        if not readers:
            return
        line = json.dumps(event).encode() + b"\n"
        for reader in readers:
            if not reader.offer(line):
                self._health.counters.add("tail.dropped")
        self._ring()

    def _ring(self) -> None:
        try:
            self._bell[1].send(b"!")
        except BlockingIOError:
            pass  # it rings already
        except OSError:
            _log.debug("the status socket is closed")

    # -- everything below runs in the thread

    def _run(self) -> None:
        while not self._stopping:
            for key, mask in self._selector.select(timeout=1.0):
                if key.fileobj is self._listener:
                    self._accept(self._listener)
                elif key.fileobj is self._bell[0]:
                    self._bell[0].recv(4096)
                else:
                    self._serve(self._readers[key.fd], mask)
            self._flush_all()
        for reader in list(self._readers.values()):
            self._drop(reader)
        self._selector.close()
        for one in (self._listener, *self._bell):
            if one is not None:
                one.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            self._health.counters.add("status.accept_failed")
            _log.debug("a connection to the status socket was not accepted: %s", error)
            return
        if len(self._readers) >= MAX_READERS:
            self._health.counters.add("status.turned_away")
            connection.close()
            return
        connection.setblocking(False)
        self._readers[connection.fileno()] = Reader(connection, time.monotonic())
        self._selector.register(connection, selectors.EVENT_READ)

    def _serve(self, reader: Reader, mask: int) -> None:
        if not mask & selectors.EVENT_READ:
            return  # it takes more now: _flush_all gives it
        try:
            received = reader.connection.recv(_MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received and not reader.closes:
            self._drop(reader)
        elif not reader.tails and not reader.closes:
            reader.request = (reader.request + received)[: _MAX_REQUEST + 1]
            if b"\n" in reader.request or len(reader.request) > _MAX_REQUEST:
                self._answer(reader)

    def _answer(self, reader: Reader) -> None:
        match reader.request.split(b"\n", 1)[0].strip():
            case b"status":
                reader.offer(json.dumps(self._health.heartbeat()).encode() + b"\n")
                reader.closes = True
            case b"tail":
                reader.tails, reader.deadline = True, None
                self._tails = (*self._tails, reader)
            case _:
                reader.offer(b'{"error": "send \\"status\\" or \\"tail\\""}\n')
                reader.closes = True

    def _flush_all(self) -> None:
        now = time.monotonic()
        for reader in list(self._readers.values()):
            try:
                empty = reader.flush()
            except OSError:
                self._drop(reader)
                continue
            late = reader.deadline is not None and now > reader.deadline
            if late or (empty and reader.closes):
                self._drop(reader)
                continue
            listens = 0 if reader.closes else selectors.EVENT_READ
            speaks = 0 if empty else selectors.EVENT_WRITE
            self._selector.modify(reader.connection, listens | speaks)

    def _drop(self, reader: Reader) -> None:
        self._tails = tuple(one for one in self._tails if one is not reader)
        self._readers.pop(reader.connection.fileno(), None)
        self._selector.unregister(reader.connection)
        reader.connection.close()


def ask(state_dir: Path, what: Literal["status", "tail"]) -> Iterator[dict[str, Any]]:
    """What the running sensor answers, as it comes: one heartbeat, or events without end. Raises Fault."""
    try:
        with connect(state_dir) as connection, connection.makefile("rb") as lines:
            connection.sendall(what.encode() + b"\n")
            if what == "tail":
                connection.settimeout(None)
            yield from map(json.loads, lines)
    except PermissionError as error:
        raise Fault(
            f"the sensor in {state_dir} is not for this user to ask",
            exit_code=ExitCode.PRIVILEGE,
            fix="run it as root",
        ) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise Fault(
            f"no sensor runs with {state_dir}", exit_code=ExitCode.UNREACHABLE, fix="nsentry-sensor run"
        ) from error
    except (OSError, ValueError) as error:
        raise Fault(
            f"the sensor in {state_dir} does not answer ({error})",
            exit_code=ExitCode.UNREACHABLE,
            fix="look at its log, or start it again",
        ) from error


def connect(state_dir: Path, timeout_s: float = 5.0) -> socket.socket:
    """A connection to the running sensor's socket.

    Raises FileNotFoundError or ConnectionRefusedError when none runs, PermissionError when it is not for us.
    """

    def dial(client: socket.socket, address: str) -> None:
        client.settimeout(timeout_s)
        client.connect(address)

    return _at(state_dir, dial)


def _listen(state_dir: Path) -> socket.socket:
    # The spool's lock says that no other sensor uses this folder: a socket that is there is a dead one's.
    (state_dir / SOCKET_NAME).unlink(missing_ok=True)

    def listen(server: socket.socket, address: str) -> None:
        server.bind(address)
        Path(address).chmod(0o600)
        server.listen(MAX_READERS)
        server.setblocking(False)

    return _at(state_dir, listen)


def _at(state_dir: Path, use: Callable[[socket.socket, str], object]) -> socket.socket:
    """A socket used with an address in `state_dir`.

    An address has room for 107 bytes only (unix(7)), so the folder is named by a descriptor.
    """
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        use(one, f"/proc/self/fd/{folder}/{SOCKET_NAME}")
    except BaseException:
        one.close()
        raise
    finally:
        os.close(folder)
    return one
