# SPDX-License-Identifier: Apache-2.0
"""The spool's file: one SQLite database in WAL mode, held by one sensor, set aside when it is damaged."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from sensor.fault import ExitCode, Fault
from sensor.spool import kept

_log: Final = logging.getLogger("sensor.spool")

_TABLES: Final = (
    """
CREATE TABLE IF NOT EXISTS events (
    seq  INTEGER PRIMARY KEY,
    lane INTEGER NOT NULL,
    size INTEGER NOT NULL,
    time INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_lane ON events (lane, seq, size);
CREATE TABLE IF NOT EXISTS refused (
    seq    INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    time   INTEGER NOT NULL,
    body   BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS losses (cause TEXT PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value NOT NULL);
"""
    + kept.TABLE
)
_EXPECTED: Final = (
    "SELECT seq, lane, size, time, body FROM events LIMIT 0",
    "SELECT seq, reason, time, body FROM refused LIMIT 0",
)
"""Fail on a file that has these tables, but was not made by this program."""
# Checkpoints are the keeper's work (Spool.sync), off the path of append. This is only the ceiling for a WAL
# that nobody keeps, in pages of 4 KiB.
_WAL_PAGES: Final = 4096


class DiskError(Exception):
    """The disk did not take or give what was asked: full, read-only, or failing."""


class DamagedError(Exception):
    """The file is not, or no longer, a database."""


_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def explain(error: sqlite3.Error) -> DiskError | DamagedError:
    """What an error of SQLite means here; its low byte is the primary code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return DamagedError(str(error)) if code in _DAMAGED else DiskError(str(error))


_CACHE_KIB: Final = 256


def connect(path: Path) -> sqlite3.Connection:
    """One connection, for any thread under the spool's lock. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL keeps every commit over a crash of the process. Over a power cut it keeps what
        # was checkpointed, which sync() does once a second.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        # Each row is written once and read once: the default cache of 2 MB would only be memory.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_checked(path: Path) -> sqlite3.Connection:
    """The database at `path`, made where there is none, found sound and with its tables.

    Raises DamagedError, or DiskError.
    """
    _make_private(path)
    try:
        connection = connect(path)
    except sqlite3.Error as error:
        raise explain(error) from error
    try:
        _check(connection)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error) from error
    except DamagedError:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != ("ok",):
        raise DamagedError(str(verdict and verdict[0]))
    try:
        connection.executescript(_TABLES)
        for query in _EXPECTED:
            connection.execute(query)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise DamagedError(f"not a spool: {error}") from error
        raise


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way, with what belongs to it, in place of one before."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    _log.error("the spool %s is damaged: it was moved to %s, and a new one begins", path, aside)
    return aside


def lock(path: Path) -> int:
    """Hold the spool for this process alone, until the descriptor is closed.

    Raises Fault when another holds it, or its folder cannot be used.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(
            path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        refused = isinstance(error, PermissionError)
        raise Fault(
            f"the state folder {path.parent} cannot be used: {error.strerror or error}",
            exit_code=ExitCode.PRIVILEGE if refused else ExitCode.CONFIG,
            fix="run it as root" if refused else "give it another --state-dir",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise Fault(
            f"another sensor already runs with {path.parent}"
            + (f" (pid {holder})" if holder.isdigit() else ""),
            exit_code=ExitCode.FAILURE,
            fix="'nsentry-sensor status' shows it; stop it first, or give this one another --state-dir",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def boot_microseconds() -> int:
    """Microseconds since the host booted, its sleep included: only ever grows within one boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def _make_private(path: Path) -> None:
    """SQLite makes its other files with the mode of the database's own."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DiskError(f"{path}: {error.strerror or error}") from error
