# SPDX-License-Identifier: Apache-2.0
"""Names of the host's users, from its passwd file alone.

getpwuid(3) would ask whatever nsswitch.conf names, a directory server included, and wait for its answer: an
event must not. A user that only such a server knows has a number and no name here.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from sensor.enrich.text import clean

PASSWD: Final = Path("/etc/passwd")
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_NAME: Final = 64


class Accounts:
    """Uid to name, read again when the file has changed. For any number of threads."""

    def __init__(self, path: Path = PASSWD) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._names: dict[int, str] = {}
        self._seen: tuple[int, int, int] | None = None

    def name(self, uid: int) -> str | None:
        """The name of `uid`, the first one where several have it; None where the file has none."""
        with self._lock:
            try:
                status = self._path.stat()
                seen = (status.st_mtime_ns, status.st_size, status.st_ino)
                if seen != self._seen:
                    self._names = _parse(self._path)
                    self._seen = seen
            except OSError:
                self._names, self._seen = {}, None
            return self._names.get(uid)


def _parse(path: Path) -> dict[int, str]:
    with path.open("rb") as file:
        lines = file.read(MAX_BYTES).splitlines()
    names: dict[int, str] = {}
    for line in lines:
        fields = line.split(b":")
        if len(fields) >= 4 and fields[2].isdigit() and fields[0]:
            names.setdefault(int(fields[2]), clean(fields[0], MAX_NAME))
    return names
