# SPDX-License-Identifier: Apache-2.0
"""`make up` and `make demo` for real, in a folder and on ports of the test's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtimes

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder():
    """Short, for containerd's sockets lie in it: a unix socket's path has at most 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="nsl-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def lab(folder):
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(str(free.getsockname()[1]))
    environment = {
        "NSENTRY_LAB": str(folder),
        "TMPDIR": str(folder),
        "NSENTRY_PORT": ports[0],
        "NSENTRY_DEMO_PORT": ports[1],
    }
    return {**os.environ, "PYTHONUNBUFFERED": "1", **environment}


@contextmanager
def _start(command: str, lab: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "vagrant.local", command],
        env=lab,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def _read_until(process: subprocess.Popen[str], end: str) -> str:
    text = ""
    for line in process.stdout:
        text += line
        if end in line:
            return text
    pytest.fail(f"ended without {end!r}:\n{text}")


def _processes_of(folder: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            what = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if folder.encode() in what and int(entry.name) != os.getpid():
            found.append(what.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_up_tells_how_it_watches_and_where_to_look_and_ends_cleanly(lab, folder):
    with _start("up", lab) as up:
        said = _read_until(up, "Ctrl-C stops both")
        assert re.search(r"^loader +(core|bcc)", said, re.MULTILINE)
        assert re.search(r"^hook .*setns", said, re.MULTILINE)
        assert re.search(
            rf"^dashboard +https://localhost:{lab['NSENTRY_PORT']}/login\S+$", said, re.MULTILINE
        )
        with _start("up", lab) as second:
            assert f"already runs here (pid {up.pid})" in second.stdout.read()
        assert second.returncode == 1
        up.send_signal(signal.SIGINT)
        rest = up.stdout.read()
    assert up.returncode == 0, rest
    assert _processes_of(str(folder)) == []


def test_up_starts_again_after_it_was_killed_and_keeps_what_was_seen(lab, folder):
    for _ in range(2):
        with _start("up", lab) as up:
            _read_until(up, "Ctrl-C stops both")
            up.send_signal(signal.SIGKILL)
    with _start("up", lab) as up:
        _read_until(up, "Ctrl-C stops both")
        up.send_signal(signal.SIGTERM)
        rest = up.stdout.read()
    assert up.returncode == 0, rest
    assert len(_sensors(folder)) == 1


def _sensors(folder: Path) -> list[dict[str, Any]]:
    listed = subprocess.run(
        [
            BIN / "nsentry-controller",
            "--state",
            folder / "controller",
            "sensors",
            "list",
            "--replaced",
            "--json",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [json.loads(line) for line in listed.splitlines()]


def _up_once(lab: dict[str, str]) -> str:
    with _start("up", lab) as up:
        said = _read_until(up, "Ctrl-C stops both")
        up.send_signal(signal.SIGINT)
        rest = up.stdout.read()
    assert up.returncode == 0, rest
    return said


def test_up_watches_again_after_another_port_a_revocation_or_a_lost_controller(lab, folder):
    """What the controller would not take any more is enrolled anew: no run of `make up` watches for nobody."""
    _up_once(lab)
    with socket.create_server(("127.0.0.1", 0)) as free:
        lab["NSENTRY_PORT"] = str(free.getsockname()[1])
    assert "degraded" not in _up_once(lab)
    revoked = [each["revoked"] is not None for each in _sensors(folder)]
    assert sorted(revoked) == [False, True], "one sensor is good, the one before it is not"
    current = next(each["id"] for each in _sensors(folder) if each["revoked"] is None)
    subprocess.run(
        [BIN / "nsentry-controller", "--state", folder / "controller", "sensors", "revoke", current],
        check=True,
        capture_output=True,
    )
    assert "degraded" not in _up_once(lab)
    shutil.rmtree(folder / "controller")
    assert "degraded" not in _up_once(lab)
    assert [each["revoked"] for each in _sensors(folder)] == [None]


def test_demo_raises_every_expected_alert_and_leaves_nothing(lab, folder):
    with _start("demo", lab) as demo:
        said = demo.stdout.read()
    assert demo.returncode == 0, said
    assert re.search(r"entered container web \(image busybox:demo\) by nsenter from bash, ran /bin/sh", said)
    assert _processes_of(str(folder)) == []
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    assert [path.name for path in folder.iterdir()] == ["demo.lock"]


def test_demo_leaves_nothing_when_it_is_interrupted(lab, folder):
    with _start("demo", lab) as demo:
        _read_until(demo, "Visit 1")
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
    assert demo.returncode == 130
    assert _processes_of(str(folder)) == []
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    assert [path.name for path in folder.iterdir()] == ["demo.lock"]
