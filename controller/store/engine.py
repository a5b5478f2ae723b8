# SPDX-License-Identifier: Apache-2.0
"""The database: one writer thread, read-only connections for everybody else.

SQLite takes one writer at a time; "database is locked" is what others' users complain about most. Here all
writes of a process queue up for one thread, which takes the lock at the beginning of each transaction (BEGIN
IMMEDIATE; another process is waited for) and answers only once the transaction is on the disk. What waits in
the queue meanwhile shares the next transaction, each piece in a savepoint of its own, so that many small
writes cost one flush.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec
import sqlalchemy
from sqlalchemy import exc

from controller.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 60.0
"""How long a write waits for another process (the command line's) before it fails."""
MAX_WAITING: Final = 1024
"""Longest queue of writes; whoever would make it longer waits."""
MAX_GROUP: Final = 64
"""Most pieces of work that share one transaction."""


class StoreError(OperationError):
    """The database did not take a write (disk full, locked too long, gone): nothing of it was stored."""


@dataclass(frozen=True, slots=True)
class _Piece(Generic[T]):
    work: Callable[[Connection], T]
    future: Future[T]

    def run(self, connection: Connection) -> Callable[[], None]:
        """Does the work in a savepoint; returns what to do with the future once all of it is on the disk."""
        savepoint = connection.begin_nested()
        try:
            result = self.work(connection)
        except exc.OperationalError:
            raise  # full, locked, gone: SQLite may have undone the others' work in this transaction too
        except Exception as error:  # noqa: BLE001 - it is the submitter's: the future raises it there
            savepoint.rollback()
            failure = error
            return lambda: self.future.set_exception(failure)
        savepoint.commit()
        return lambda: self.future.set_result(result)


class Store:
    """The database at one address. `close` it, or leave it as a context."""

    def __init__(self, url: str) -> None:
        """For a database that exists and has the schema: `migrate.open_store` makes sure of that."""
        self._writer = engine(url, read_only=False)
        self._reader = engine(url, read_only=True)
        self._queue: queue.Queue[_Piece[Any] | None] = queue.Queue(MAX_WAITING)
        self._closed = False
        self._submitting = threading.Lock()
        self._thread = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only connection that sees one moment of the database until it is left. For any thread."""
        with self._reader.connect() as connection:
            yield connection

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Has the writer thread run `work` in a transaction; the future is done once that is on the disk.

        The future raises what `work` raised, and StoreError when the database did not take it.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # it cannot be taken back: the writer may be at it already
        with self._submitting:
            if self._closed:
                raise StoreError("the store is closed")
            self._queue.put(_Piece(work, future))
        return future

    def write(self, work: Callable[[Connection], T]) -> T:
        """As `submit`, and waits. Never call it from the writer thread (inside another `work`)."""
        return self.submit(work).result()

    def close(self) -> None:
        """Finishes what was submitted, then closes. May be called twice."""
        with self._submitting:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._reader.dispose()
        self._writer.dispose()

    def _write_all(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._write_group(group)

    def _next_group(self) -> tuple[list[_Piece[Any]], bool]:
        group: list[_Piece[Any]] = []
        piece = self._queue.get()
        while piece is not None:
            group.append(piece)
            if len(group) == MAX_GROUP:
                return group, False
            try:
                piece = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _write_group(self, group: list[_Piece[Any]]) -> None:
        try:
            with self._writer.begin() as connection:
                outcomes = [piece.run(connection) for piece in group]
        except exc.SQLAlchemyError as error:
            reason = error.orig if isinstance(error, exc.DBAPIError) else error
            for piece in group:
                piece.future.set_exception(StoreError(f"the database did not take a write: {reason}"))
            return
        for settle in outcomes:
            settle()


def engine(url: str, *, read_only: bool) -> Engine:
    """The engine for `url`; a SQLite file must exist. Readers cannot write, whatever they execute."""
    parsed = sqlalchemy.make_url(url)
    options: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": msgspec.json.decode}
    if parsed.get_backend_name() != "sqlite":
        made = sqlalchemy.create_engine(parsed, pool_pre_ping=True, **options)
        return made.execution_options(postgresql_readonly=True) if read_only else made
    path = Path(parsed.database or "")
    made = sqlalchemy.create_engine(
        "sqlite://", creator=lambda: _sqlite(path, read_only), poolclass=sqlalchemy.QueuePool, **options
    )
    # The driver's own transactions begin too late (at the first write) and too weak (deferred).
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    sqlalchemy.event.listen(made, "begin", lambda connection: connection.exec_driver_sql(begin))
    return made


def _sqlite(path: Path, read_only: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,  # the pool hands a connection to one thread at a time
    )
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an answer outlives a power cut, not only a kill
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
