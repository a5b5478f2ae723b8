# SPDX-License-Identifier: Apache-2.0
"""Who asks a daemon to start an exec is known by that exec's id, and by nothing that a client says of himself."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, Probe, open_probe, receiver
from sensor.probe.contacts import Listening, device

pytestmark = pytest.mark.kernel

ROUNDS = 5

_ASK = """
import socket, sys, time
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
for part in sys.argv[2:]:
    end.sendall(part.encode())
    end.recv(1)
    time.sleep(0.05)  # the daemon waits again: who asks in the microseconds before may be missed by sk_data_ready
"""


class Daemon:
    """Plays a daemon that reads what its clients ask for."""

    def __init__(self, folder: Path, probe: Probe) -> None:
        self._path = folder / "docker.sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._path))
        self._listening.listen()
        self.probe = probe

    def known(self, *, daemon: bool = True) -> None:
        """Have the kernel told of it."""
        status = self._path.stat()
        number = device(os.major(status.st_dev), os.minor(status.st_dev))
        self.probe.listeners.settle(Listening(status.st_ino, number, os.getpid()), daemon=daemon)

    def asked(self, *parts: str) -> int:
        """A client asks, in so many pieces, and is gone; its pid."""
        with subprocess.Popen([sys.executable, "-c", _ASK, str(self._path), *parts]) as client:
            end, _ = self._listening.accept()
            with end:
                for _ in parts:
                    end.recv(4096)
                    end.sendall(b".")
        assert client.returncode == 0
        return client.pid

    def close(self) -> None:
        self._listening.close()


@pytest.fixture(scope="module", params=["core", "bcc"])
def probe(request: pytest.FixtureRequest, tracefs: None) -> Iterator[Probe]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    opened = open_probe(request.param, receiver(lambda _event: None, pytest.fail))
    yield opened
    opened.close()


@pytest.fixture
def daemon(probe: Probe, tmp_path: Path) -> Iterator[Daemon]:
    with ExitStack() as undo:
        made = Daemon(tmp_path, probe)
        undo.callback(made.close)
        made.known()
        yield made


def _pid(probe: Probe, exec_id: str) -> int | None:
    found = probe.requests.of(exec_id)
    return found.pid if found else None


@pytest.mark.parametrize("before", ["", "/v1.24", "/v1.43", "/v4.3.1/libpod", "/v10.10.10/libpod"])
def test_who_asks_for_an_exec_is_known_by_its_id(daemon: Daemon, before: str) -> None:
    one, other = secrets.token_hex(32), secrets.token_hex(32)
    first = daemon.asked(f"POST {before}/exec/{one}/start HTTP/1.1\r\nHost: x\r\n\r\n")
    second = daemon.asked(f"POST {before}/exec/{other}/start HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (_pid(daemon.probe, one), _pid(daemon.probe, other)) == (first, second)


def test_the_second_who_asks_for_the_same_exec_did_not_start_it(daemon: Daemon) -> None:
    exec_id = secrets.token_hex(32)
    line = f"POST /v1.43/exec/{exec_id}/start HTTP/1.1\r\n\r\n"
    first = daemon.asked(line)
    daemon.asked(line)
    assert _pid(daemon.probe, exec_id) == first


def test_of_a_connection_that_asks_for_several_the_latter_are_known_too(daemon: Daemon) -> None:
    """By sk_data_ready one may be missed: a reader that comes at that moment takes it before the kernel calls."""
    for _ in range(ROUNDS):
        ids = [secrets.token_hex(32) for _ in range(3)]
        pid = daemon.asked(
            "GET /v1.43/version HTTP/1.1\r\n\r\n",
            *(f"POST /v1.43/exec/{each}/start HTTP/1.1\r\n\r\n" for each in ids),
        )
        known = {_pid(daemon.probe, each) for each in ids}
        if known == {pid}:
            return
        assert known <= {pid, None}
    pytest.fail(f"in none of {ROUNDS} connections all three were known")


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1.43/exec/{}/json HTTP/1.1",
        "POST /v1.43/exec/{}/resize?h=1&w=1 HTTP/1.1",
        "POST /v1.43/containers/{}/exec HTTP/1.1",
        "POST /{}/start",
        "POST /v1.43/exec/",
    ],
)
def test_what_asks_for_something_else_starts_nothing(daemon: Daemon, line: str) -> None:
    exec_id = secrets.token_hex(32)
    daemon.asked(line.format(exec_id))
    assert _pid(daemon.probe, exec_id) is None


def test_what_is_said_to_a_stranger_is_not_looked_at(daemon: Daemon) -> None:
    exec_id = secrets.token_hex(32)
    daemon.known(daemon=False)
    daemon.asked(f"POST /v1.43/exec/{exec_id}/start HTTP/1.1\r\n\r\n")
    assert _pid(daemon.probe, exec_id) is None


def test_a_name_that_no_daemon_makes_is_nobodys(probe: Probe) -> None:
    assert _pid(probe, "short") is None
    assert _pid(probe, "é" * 64) is None
