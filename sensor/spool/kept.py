# SPDX-License-Identifier: Apache-2.0
"""What the sensor has to know again after it was killed, kept in the transaction of the events that it follows from.

Named values, none of which counts against the bound of events: who keeps them bounds them. A value that a
failing disk did not take goes with the next transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

TABLE: Final = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"


class Kept:
    """Values by name; None takes one away. Under the lock of the spool."""

    def __init__(self) -> None:
        self._unsaved: dict[str, bytes | None] = {}

    def change(self, values: Mapping[str, bytes | None]) -> None:
        """To be written by the next transaction."""
        self._unsaved.update(values)

    @property
    def waits(self) -> bool:
        """Whether something is not on disk yet."""
        return bool(self._unsaved)

    def write(self, connection: sqlite3.Connection) -> None:
        """Inside a transaction. Raises sqlite3.Error."""
        for name, value in self._unsaved.items():
            if value is None:
                connection.execute("DELETE FROM kept WHERE name = ?", (name,))
            else:
                connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    def written(self) -> None:
        """The transaction was committed."""
        self._unsaved.clear()

    @staticmethod
    def read(connection: sqlite3.Connection) -> dict[str, bytes]:
        """All of them. Raises sqlite3.Error."""
        return {str(name): bytes(value) for name, value in connection.execute("SELECT name, value FROM kept")}
