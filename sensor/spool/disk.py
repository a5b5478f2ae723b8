# SPDX-License-Identifier: Apache-2.0
"""The spool's file and a disk that fills up: how it goes on working in the space that it has.

In WAL mode even a deletion needs room for the log, and a checkpoint needs it for the file. A spool on a disk that
others have filled to the last block could neither forget what arrived nor give up what is oldest. So it holds a
ballast while there is room; when there is none it lets that go, brings the log to the file, and stops the file from
growing: from then on old events give their pages to new ones.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from sensor.spool import file

_log: Final = logging.getLogger("sensor.spool")

BALLAST_BYTES: Final = 512 * 1024
_ROOM_BYTES: Final = 4 * BALLAST_BYTES
"""Free space from which on the file may grow again."""
_MOST_PAGES: Final = 1_073_741_823
"""SQLite's own default for max_page_count."""


class Disk:
    """Under the lock of the spool, but for checkpoint()."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._ballast = path.with_name(f"{path.name}.ballast")
        self._connection = connection
        # Another connection copies the log to the file while the first one goes on appending.
        self._keeper = file.connect(path)
        self.tight = False
        """The file does not grow, for the disk is full."""
        self._hold_ballast()

    def checkpoint(self) -> bool:
        """Bring what is in the log to the file, and both safely to the disk; False when it does not take it."""
        try:
            self._keeper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            _log.debug("the spool cannot be brought to the disk: %s", error)
            return False
        return True

    def tighten(self) -> None:
        """The disk is full: make room for deletions, and let the file grow no more."""
        try:
            self._ballast.unlink(missing_ok=True)
            self.checkpoint()
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {int(pages)}")
        except (OSError, sqlite3.Error) as error:
            _log.debug("the spool cannot be held to its size: %s", error)
        self.tight = True

    def settle(self) -> None:
        """After work in a tight place: what it wrote comes to the file, and what it did not need is held again."""
        self.checkpoint()
        self._hold_ballast()

    def relax(self) -> None:
        """Let the file grow again once there is room."""
        if not self.tight:
            return
        try:
            free = os.statvfs(self._ballast.parent)
            if free.f_bavail * free.f_frsize < _ROOM_BYTES:
                return
            self._connection.execute(f"PRAGMA max_page_count = {_MOST_PAGES}")
        except (OSError, sqlite3.Error) as error:
            _log.debug("the spool cannot be let grow: %s", error)
            return
        self.tight = False
        self._hold_ballast()
        _log.info("the disk has room again: the spool may grow")

    def close(self) -> None:
        """Close what this opened."""
        self._keeper.close()

    def _hold_ballast(self) -> None:
        """As much as there is, BALLAST_BYTES at most."""
        for size in (BALLAST_BYTES, BALLAST_BYTES // 2, BALLAST_BYTES // 4):
            try:
                descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.posix_fallocate(descriptor, 0, size)
                finally:
                    os.close(descriptor)
            except OSError:
                self._ballast.unlink(missing_ok=True)
            else:
                return
