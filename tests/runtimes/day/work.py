# SPDX-License-Identifier: Apache-2.0
"""The operations of a day, counted, and the containers that they made."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
from collections.abc import Iterable, Mapping


class Work:
    """What was done so far. For any number of threads."""

    def __init__(self) -> None:
        self.operations = 0
        self.made: set[str] = set()
        """Ids of all containers."""
        self._names = itertools.count(1)
        self._lock = threading.Lock()

    def name(self, what: str) -> str:
        """A name that nothing else on this machine has."""
        return f"quiet{os.getpid()}{what}{next(self._names)}"

    def count(self, operations: int = 1) -> None:
        """So many operations were done."""
        with self._lock:
            self.operations += operations

    def made_one(self, container: str) -> str:
        """A container was made."""
        with self._lock:
            self.made.add(container)
        return container

    def do(
        self,
        command: Iterable[str],
        *,
        fails: bool = False,
        more: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> str:
        """One operation; what it printed. `more` is added to its environment."""
        self.count()
        done = subprocess.run(
            list(command),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
            env={**os.environ, **(more or {})},
        )
        assert fails or done.returncode == 0, (done.args, done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="replace").strip()
