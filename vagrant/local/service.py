# SPDX-License-Identifier: Apache-2.0
"""A program that runs beside us, and ends with us, whatever ends us."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

STOP_S: Final = 20
"""How long a program may take to end cleanly before it is killed."""
POLL_S: Final = 0.1
LOG_LINES: Final = 15


class LabError(RuntimeError):
    """Something that the lab needs did not work. The message says what to do, and stands alone."""


class Service:
    """One program with its log. `stop` is safe at any time, so that it can be promised before `start`."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its pid: setpriv and the program are one process."""
        if self._process is None:
            raise LabError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C reaches us alone, and we stop things in their order."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                # The kernel passes our own end on, even a SIGKILL: nothing stays that holds port and probes.
                ["setpriv", "--pdeathsig", "TERM", "--", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready`. LabError with the end of the log when it ends before, or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} was not ready after {seconds:.0f} s. {self._log_end()}")
            time.sleep(POLL_S)

    def check(self) -> None:
        """LabError when it no longer runs."""
        if self._process is None or self._process.poll() is not None:
            code = "" if self._process is None else f" (exit code {self._process.returncode})"
            raise LabError(f"{self.name} has ended{code}. {self._log_end()}")

    def stop(self) -> bool:
        """Ask it to end, and see to it that it does. False when it had to be killed."""
        if self._process is None or self._process.poll() is not None:
            return True
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False
        return True

    def _log_end(self) -> str:
        with self._log.open(encoding="utf-8", errors="replace") as log:
            lines = deque(log, LOG_LINES)
        return f"The end of {self._log}:\n{''.join(lines)}" if lines else f"Its log {self._log} is empty."
