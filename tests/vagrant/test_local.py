# SPDX-License-Identifier: Apache-2.0
"""The lab of one host: how its parts start, end, and stand beside each other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vagrant.local import host
from vagrant.local.service import LabError, Service
from vagrant.local.terminal import type_into


def _gone(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def _wait(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_service_that_ends_early_is_told_of_with_the_end_of_its_log(tmp_path):
    service = Service("worker", ["sh", "-c", "echo no such disk; exit 3"], tmp_path / "log")
    service.start()
    with pytest.raises(LabError, match=r"(?s)worker has ended \(exit code 3\).*no such disk"):
        service.wait_until(lambda: False, 20)


def test_stopping_is_safe_before_the_start_and_twice(tmp_path):
    service = Service("worker", ["sleep", "60"], tmp_path / "log")
    assert service.stop()
    service.start()
    assert service.stop()
    assert service.stop()
    assert _gone(service.pid)


def test_a_service_ends_with_the_lab_even_by_sigkill(tmp_path):
    code = f"""
import sys, time
from pathlib import Path
from vagrant.local.service import Service
service = Service("worker", ["sleep", "60"], Path({str(tmp_path / "log")!r}))
service.start()
print(service.pid, flush=True)
time.sleep(60)
"""
    lab = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with lab:
        pid = int(lab.stdout.readline())
        _wait(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
        lab.kill()
        lab.wait()
        _wait(lambda: _gone(pid))


def test_a_second_run_is_told_of_the_first_by_its_pid(tmp_path):
    lock = tmp_path / "up.lock"
    with (
        host.only_one(lock, "make up"),
        pytest.raises(LabError, match=f"make up already runs here .pid {os.getpid()}."),
        host.only_one(lock, "make up"),
    ):
        pytest.fail("held twice")
    with host.only_one(lock, "make up"):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_a_lock_does_not_outlive_its_holder(tmp_path):
    code = "import sys, time; from pathlib import Path; from vagrant.local.host import only_one\n"
    code += f"with only_one(Path({str(tmp_path / 'lock')!r}), 'x'): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGKILL)
    with host.only_one(tmp_path / "lock", "x"):
        pass


def test_a_port_that_somebody_else_uses_is_named(monkeypatch):
    monkeypatch.setattr(host, "PORT_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(LabError, match=f"port {number} .* in use"):
            host.require_port(number)
    host.require_port(number)


def test_a_port_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("NSENTRY_PORT", "70000")
    with pytest.raises(LabError, match="NSENTRY_PORT is '70000'"):
        host.port("NSENTRY_PORT", 8443)


def test_a_program_believes_that_a_person_types():
    shown = type_into(["sh"], ["test -t 0 && echo on a $((1 + 1))terminal", "exit"])
    assert "on a 2terminal" in shown


def test_a_program_that_does_not_end_is_ended():
    with pytest.raises(TimeoutError):
        type_into(["sleep", "60"], [], seconds=0.1)
