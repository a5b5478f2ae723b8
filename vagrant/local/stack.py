# SPDX-License-Identifier: Apache-2.0
"""A controller and a sensor that reports to it, below one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vagrant.local import host
from vagrant.local.service import LabError, Service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

READY_S: Final = 60
BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Stack:
    """Both parts, their state below `root`, the controller on `port` of this host only."""

    root: Path
    port: int
    sockets: tuple[Path, ...] = ()
    """Docker sockets to ask besides those that the sensor finds by itself."""

    @property
    def url(self) -> str:
        """The controller's address."""
        return f"https://localhost:{self.port}"

    def start(self, undo: ExitStack) -> tuple[Service, Service]:
        """Set up what is missing, start both, and return (controller, sensor) once both are at work.

        What `undo` holds afterwards stops the sensor first, so that its last events are still taken in.
        """
        return self.start_controller(undo), self.start_sensor(undo)

    def start_controller(self, undo: ExitStack) -> Service:
        """Make the controller's state where there is none, and return once requests are answered."""
        host.require_port(self.port)
        self.root.mkdir(parents=True, exist_ok=True)
        listen = ["--listen", f"127.0.0.1:{self.port}", "--url", self.url]
        self.controller("init", *listen)
        ready = self.root / "controller.ready"
        ready.unlink(missing_ok=True)
        serve = ["serve", *listen, "--ready-file", str(ready)]
        service = self._service("controller", BIN / "nsentry-controller", serve)
        undo.callback(service.stop)
        service.start()
        service.wait_until(ready.exists, READY_S)
        return service

    def start_sensor(self, undo: ExitStack, loader: str = "auto") -> Service:
        """Enrol the sensor unless it is, and return once its programs are in the kernel."""
        self._configure()
        self._enroll()
        service = self._service("sensor", BIN / "nsentry-sensor", ["run", "--loader", loader])
        # Stopped for good: what is pinned would record on for nobody.
        undo.callback(self._call, BIN / "nsentry-sensor", ["unpin"])
        undo.callback(service.stop)
        service.start()
        service.wait_until(lambda: self.sensor_status() is not None, READY_S)
        return service

    def controller(self, *arguments: str) -> str:
        """Run a command of nsentry-controller; its output. LabError when it fails."""
        return self._run(BIN / "nsentry-controller", arguments)

    def read(self, *arguments: str) -> list[dict[str, Any]]:
        """What a read command of nsentry-controller prints with --json."""
        return [json.loads(line) for line in self.controller(*arguments, "--json").splitlines()]

    def sensor_status(self) -> dict[str, Any] | None:
        """The sensor's own account of itself, None while it does not watch yet."""
        try:
            status = json.loads(self._run(BIN / "nsentry-sensor", ["status", "--json"]))
        except LabError:
            return None
        return status if isinstance(status, dict) and status.get("hooks") else None

    def follow_alerts(self) -> subprocess.Popen[bytes]:
        """Start printing each alert as a line. The caller ends it."""
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", BIN / "nsentry-controller", "alerts", "tail"],
            stdin=subprocess.DEVNULL,
            env=self._environment(),
            start_new_session=True,
        )

    def _configure(self) -> None:
        (self.root / "sensor").mkdir(mode=0o700, exist_ok=True)
        config = self.root / "sensor" / "sensor.toml"
        if not config.exists() or self.sockets:
            # TOML's basic strings and arrays of them are JSON's.
            state = json.dumps(str((self.root / "sensor").absolute()))
            sockets = json.dumps([str(path) for path in self.sockets])
            known = f"[docker]\nsockets = {sockets}\n" if self.sockets else ""
            config.write_text(f"state_dir = {state}\n{known}", encoding="utf-8")

    def _enroll(self) -> None:
        """Enrol the sensor, unless this very controller takes its events already.

        It does not after one of both was wiped or restored, the sensor was revoked, or another port was chosen.
        """
        if self._accepted():
            return
        token = self.root / "token"
        token.touch(mode=0o600)
        token.write_text(self.controller("token", "create", "--ttl", "5m"), encoding="ascii")
        try:
            self._run(BIN / "nsentry-sensor", ["enroll", "--url", self.url, "--token-file", str(token)])
        finally:
            token.unlink()

    def _accepted(self) -> bool:
        """Whether the controller accepts the sensor's credential, at the address that the sensor knows."""
        checks = self._call(BIN / "nsentry-sensor", ["doctor", "--json"]).stdout.splitlines()
        return any(
            check["name"] == "credential" and check["state"] == "ok" for check in map(json.loads, checks)
        )

    def _service(self, name: str, program: Path, arguments: Sequence[str]) -> Service:
        return Service(name, [str(program), *arguments], self.root / f"{name}.log", self._environment())

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "NSENTRY_CONTROLLER_STATE": str((self.root / "controller").absolute()),
            "NSENTRY_SENSOR_CONFIG": str((self.root / "sensor" / "sensor.toml").absolute()),
        }

    def _run(self, program: Path, arguments: Sequence[str]) -> str:
        done = self._call(program, arguments)
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            raise LabError(
                f"{program.name} {' '.join(arguments)} failed (exit code {done.returncode}): {said}"
            )
        return done.stdout

    def _call(self, program: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=READY_S,
            env=self._environment(),
        )
