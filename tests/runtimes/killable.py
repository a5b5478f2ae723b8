# SPDX-License-Identifier: Apache-2.0
"""The sensor as its command line runs it, pinned and killed at will; what it tells is read from its spool."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

from sensor.probe import pins

DIES = """
import os, signal, sys
from pathlib import Path
from sensor.probe import ring
advance = ring.Ring.advance
def dies(self):
    if self.position != self._consumer.value and Path({flag!r}).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    advance(self)
ring.Ring.advance = dies
from sensor.cli import main
main(sys.argv[1:], prog_name="nsentry-sensor")
"""
"""Ends where what was read is on disk, and the kernel was not told yet."""


class Killable:
    """One host's sensor: started, killed, started again. No controller is there, so that its spool holds all."""

    def __init__(self, folder: Path, docker: str) -> None:
        self.folder = folder
        self.pins = Path(f"/sys/fs/bpf/nsentry-test-{os.getpid()}-{folder.name}")
        self.containers: list[str] = []
        """Those whose events are looked at: others of this machine are watched too."""
        self.flag = folder / "die"
        self._docker = docker
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        identity = {"host": "h", "credential": "none", "url": "https://127.0.0.1:1"}
        (folder / "identity.json").write_text(json.dumps(identity))
        (folder / "identity.json").chmod(0o600)
        (folder / "ca.pem").write_text("")

    def _options(self) -> list[str]:
        settings = [
            f"state_dir={self.folder}",
            f"pins={self.pins}",
            f"docker.sockets={self._docker}",
            "heartbeat.interval_s=1",
        ]
        return [word for setting in settings for word in ("--set", setting)]

    def run(self, *command: str) -> str:
        """Another command of the sensor's, as the same host; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "sensor", *command, *self._options()],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def generations(self) -> set[str]:
        """Whose links are pinned."""
        return {path.name.split("-")[1] for path in self.pins.glob("*/link-*")}

    def start(self, **environment: str) -> None:
        """Begin, and wait until it is ready."""
        program = DIES.format(flag=str(self.flag))
        before = self._said().count("agent: ready")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program, "run", "--loader", "core", *self._options()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: self._said().count("agent: ready") > before)

    def _said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    def died(self) -> bool:
        """Whether it ended by itself."""
        assert self._process is not None
        return self._process.poll() is not None

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        pins.unpin(self.pins)

    def _select(self, query: str) -> list[bytes]:
        connection = sqlite3.connect(f"file:{self.folder}/spool.db?mode=ro", uri=True, timeout=10)
        try:
            return [value for (value,) in connection.execute(query)]
        finally:
            connection.close()

    def notes(self, action: str) -> list[dict[str, Any]]:
        """What it noted of its own life."""
        told = map(msgpack.unpackb, self._select("SELECT body FROM events ORDER BY seq"))
        return [event for event in told if event["kind"] == "agent" and event["action"] == action]

    def events(self) -> list[dict[str, Any]]:
        """All that it told so far of `containers`, in order."""
        rows = self._select("SELECT body FROM events ORDER BY seq")
        told = [msgpack.unpackb(body) for body in rows]
        sessions = {
            event["session"]
            for event in told
            if event["kind"] == "entry" and self._is_own(event["container"])
        }
        return [
            event
            for event in told
            if (event["session"] in sessions if "session" in event else self._is_own(event.get("container")))
        ]

    def _is_own(self, container: dict[str, Any] | None) -> bool:
        return container is not None and container["id"] in self.containers

    def keeps(self, *words: str) -> bool:
        """Whether these words stand in what the next sensor is to know."""
        kept = self._select("SELECT value FROM kept")
        return all(any(word.encode() in value for value in kept) for word in words)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Events of one kind."""
        return [event for event in self.events() if event["kind"] == kind]

    def argvs(self) -> list[list[str]]:
        """Command lines of entries and of the commands in them, in order."""
        return [event["process"]["argv"] for event in self.events() if event["kind"] in {"entry", "command"}]

    def until(self, seen: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for it, or fail with what was said last."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, f"not seen; the log ends: {self._said()[-2000:]}"
            assert not self.died() or self.flag.exists(), f"the sensor ended: {self._said()[-2000:]}"
            time.sleep(0.05)
