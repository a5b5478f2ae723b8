# SPDX-License-Identifier: Apache-2.0
"""Who is connected to a daemon is the kernel's word: of real sockets, with this process as the daemon."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from sensor.enrich import sockets
from sensor.enrich.processes import Snapshot
from sensor.entry.lineage import Lineage
from sensor.probe.layout import Step
from sensor.who import clients as clients_module
from sensor.who.callers import Callers
from sensor.who.clients import KEPT_NS, Clients
from sensor.who.peers import Peers

_CONNECT = """
import os, socket, sys
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
print("in", flush=True)
if sys.argv[-1] == "hand on" and os.fork():
    os._exit(0)
sys.stdin.read()
"""


class Nowhere:
    def container_at(self, mnt):
        return None

    def name_of(self, container):
        return None


class Daemon:
    """A socket that somebody listens on, and processes that connect to it."""

    def __init__(self, folder):
        self.path = str(folder / "docker.sock")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._ends = []
        self._clients = []

    def client(self, *words):
        made = subprocess.Popen(
            [sys.executable, "-c", _CONNECT, self.path, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        made.stdout.readline()
        self._ends.append(self._listening.accept()[0])
        self._clients.append(made)
        return made

    def end(self, made):
        made.stdin.close()
        made.wait()  # also of one that handed its connection on
        made.stdout.close()

    def close(self):
        for made in self._clients:
            self.end(made)
        for end in (*self._ends, self._listening):
            end.close()


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path)
    yield made
    made.close()


@pytest.fixture
def clients(monkeypatch):
    def none(argv):
        return argv, False

    lineage = Lineage(none, lambda _mnt: "host", Snapshot({}))
    monkeypatch.setattr(clients_module, "daemons", lambda _proc: [os.getpid()])
    monkeypatch.setattr(clients_module, "_REST_NS", 0)
    return Clients(Callers(lineage, Nowhere(), lambda uid: f"u{uid}"), lambda mono: mono)


def boot():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_the_kernel_says_who_connected(daemon):
    made = daemon.client()
    (held,) = Peers(os.getpid()).now()
    assert (held.pid, held.uid, held.path) == (made.pid, os.getuid(), daemon.path)


def test_one_who_has_hung_up_is_nobodys_client(daemon):
    daemon.end(daemon.client())
    assert Peers(os.getpid()).now() == []


def test_a_client_is_told_with_its_arguments_and_once_however_often_it_connects(daemon, clients):
    made = daemon.client("docker", "exec", "web", "id")
    clients.look()
    clients.look()
    (found,) = clients.at(boot())
    assert found["caller"]["pid"] == made.pid
    assert found["caller"]["argv"][-4:] == ["docker", "exec", "web", "id"]
    assert (found["socket"], found["closed"], found["witness"]) == (daemon.path, False, "held")
    assert found["caller"]["user"] == f"u{os.getuid()}"


def test_one_who_is_gone_is_remembered_for_a_while_and_told_as_gone(daemon, clients):
    made = daemon.client()
    clients.look()
    daemon.end(made)
    clients.look()
    (found,) = clients.at(boot())
    assert (found["caller"]["pid"], found["closed"]) == (made.pid, True)
    assert clients.unseen() is None
    assert clients.at(boot() + KEPT_NS + 1) == []


def test_of_one_who_connected_later_than_the_visit_nothing_is_told(clients):
    now = boot()
    clients.connected(Step(1, 2**22 + 7, 0, 0, 0xFFFFFFFF, "docker"), "/run/docker.sock", now)
    assert clients.at(now - 1) == []
    (found,) = clients.at(now)
    assert (found["connected"], found["witness"], found["closed"]) == ([now], "connect", True)


def test_a_process_is_one_client_by_the_kernels_word_and_by_the_look(daemon, clients):
    """/proc has its start in ticks: told twice it would stand in the way of who else was connected."""
    made = daemon.client()
    start = clients._callers.now(made.pid).start
    at = boot()
    clients.connected(Step(start + 1234, made.pid, os.getuid(), 0, 0xFFFFFFFF, "python3"), daemon.path, at)
    clients.look()
    (found,) = clients.at(boot())
    assert (found["connected"], found["witness"]) == ([at], "connect")


def test_who_asked_is_found_by_his_pid_also_when_he_connected_before_anybody_looked(daemon, clients):
    made = daemon.client()
    asker = clients.asker(made.pid, boot())
    assert (asker["caller"]["pid"], asker["asked"]) == (made.pid, True)
    assert clients.asker(made.pid, 1) is None, "a pid that came back is somebody else's"
    assert clients.asker(2**22 + 7, boot()) is None


def test_a_connection_whose_maker_is_gone_while_another_holds_it_is_told(daemon, clients):
    made = daemon.client("hand on")
    made.wait()
    clients.look()
    assert clients.at(boot()) == []
    assert clients.unseen().startswith("1 of the processes that connected")


def test_a_podman_is_a_daemon_only_as_a_service():
    assert sockets.serves(["podman", "system", "service", "-t", "0"])
    assert not sockets.serves(["podman", "exec", "web", "sh"])
    assert not sockets.serves(None)
