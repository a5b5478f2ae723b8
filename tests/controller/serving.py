# SPDX-License-Identifier: Apache-2.0
"""The controller as its users have it: a process, a port, TLS by its own CA."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from controller.store import enrolment, migrate
from sensor import wire
from tests.controller import make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection

PROGRAM = [sys.executable, "-m", "controller.cli"]
PATIENCE_S = 60


@dataclass
class Served:
    """A state folder, and the process that serves it while there is one."""

    state: Path
    url: str = ""
    process: subprocess.Popen[bytes] | None = None
    _log: Any = field(default=None, repr=False)

    @classmethod
    def copy_of(cls, initialised: Path, state: Path) -> Served:
        shutil.copytree(initialised, state)
        return cls(state)

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A command over this state folder; its result, whatever that is."""
        line = [*PROGRAM, "--state", str(self.state), *words]
        return subprocess.run(
            line, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options
        )

    def run_bare(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A command without any option of ours."""
        return subprocess.run(
            [*PROGRAM, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options
        )

    @contextmanager
    def follow(self, *words: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The objects that a following command prints, as they come; Ctrl-C at the end has to end it well."""
        line = [*PROGRAM, "--state", str(self.state), *words]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            yield (json.loads(each) for each in process.stdout)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
            assert process.stderr.read() == ""

    def command(self, *words: str) -> str:
        """What a command prints that has to succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self, *words: str) -> list[dict[str, Any]]:
        """The objects that a read command prints."""
        return [json.loads(line) for line in self.command(*words, "--json").splitlines()]

    @property
    def database(self) -> str:
        return f"sqlite:///{self.state / 'nsentry.db'}"

    def reading(self) -> AbstractContextManager[Connection]:
        """Its database, read by this process: a command costs a second each time."""
        return migrate.reader(self.database)

    def token(self) -> str:
        """The secret of a new enrolment token."""
        with migrate.open_store(self.database) as store:
            return store.write(lambda connection: enrolment.new_token(connection, time.time_ns(), 600, 1))

    def judged(self) -> bool:
        """The detect worker has dealt with all that was taken in."""
        with self.operator() as session:
            return session.get(f"{self.url}/readyz", timeout=PATIENCE_S).json()["behind"] == 0

    def start(self) -> None:
        ready = self.state / "ready"
        ready.unlink(missing_ok=True)
        self._log = (self.state / "log").open("ab")
        line = [*PROGRAM, "--state", str(self.state), "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen([*line, "--ready-file", str(ready)], stderr=self._log)
        wait_for(lambda: ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        self.url = ready.read_text().strip()

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Sends the signal, waits for the end, returns the exit code; None when it did not run."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._log.close()
        self.process = None
        return code

    def log(self) -> str:
        return (self.state / "log").read_text()

    def session(self, credential: str | None = None) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.state / "ca.pem")
        if credential is not None:
            session.headers["authorization"] = f"Bearer {credential}"
        return session

    def operator(self) -> requests.Session:
        return self.session((self.state / "operator.token").read_text().strip())

    def post(self, path: str, body: Any, credential: str | None = None) -> requests.Response:
        data = body if isinstance(body, bytes) else wire.pack(body)
        with self.session(credential) as session:
            return session.post(f"{self.url}/api/v1/{path}", data, timeout=PATIENCE_S)

    def enrol(self, **about: Any) -> Sensor:
        answer = self.post("enroll", make.enrolment(self.token(), **about))
        assert answer.status_code == 200, answer.text
        enrolled = wire.unpack(answer.content)
        return Sensor(self, enrolled["host"], enrolled["credential"])


@dataclass
class Sensor:
    """What a sensor knows of itself after its enrolment."""

    served: Served
    host: str
    credential: str

    def send(self, *events: dict[str, Any], **more: Any) -> requests.Response:
        return self.served.post("batches", make.batch(*events, host_id=self.host, **more), self.credential)

    def send_bytes(self, data: bytes) -> requests.Response:
        return self.served.post("batches", data, self.credential)

    def stored(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Sends what has to be taken; the acknowledgement."""
        answer = self.send(*events)
        assert answer.status_code == 200, answer.text
        return wire.unpack(answer.content)


def wait_for(condition: Any, seconds: float = PATIENCE_S) -> None:
    """Until `condition()` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
