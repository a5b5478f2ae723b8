# SPDX-License-Identifier: Apache-2.0
"""The bus between ingest and those that consume events.

The embedded bus is the `events` table: appending to it is storing the event, and a consumer is a cursor.
A consumer that dies in the middle reads again from its cursor, so each event is delivered at least once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import func, select

from controller.store.dialect import insert_new
from controller.store.events import after as events_after
from controller.store.schema import events as table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from sqlalchemy import Connection

    from controller.store.engine import Store


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on the bus; `seq` orders them all and never comes back."""

    seq: int
    host: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch."""

    stored: int
    duplicate: int


class Bus(Protocol):
    """Durable, ordered, at least once. The embedded one is the `events` table; NATS can be another."""

    def append(self, host: str, events: Sequence[dict[str, Any]], received: int) -> Future[Appended]:
        """Stores the events that it does not have yet; done only once they are on the disk.

        The future raises StoreError when nothing of it was stored.
        """
        ...

    def read(self, after: int, limit: int) -> list[Delivery]:
        """Up to `limit` events after the sequence number `after`, in order."""
        ...

    def wait(self, after: int, timeout: float) -> bool:
        """True as soon as there is an event after `after`; False when none came for `timeout` s."""
        ...

    def head(self) -> int:
        """The sequence number of the latest event; 0 when there is none."""
        ...


class EmbeddedBus:
    """The `events` table as the bus. Consumers in this process wake at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._appended = threading.Condition()

    def append(self, host: str, events: Sequence[dict[str, Any]], received: int) -> Future[Appended]:
        """See Bus."""
        rows = [_row(host, event, received) for event in events]

        def insert(connection: Connection) -> Appended:
            stored = insert_new(connection, table, rows)
            return Appended(stored, len(rows) - stored)

        future = self._store.submit(insert)
        future.add_done_callback(lambda _: self._wake())
        return future

    def read(self, after: int, limit: int) -> list[Delivery]:
        """See Bus."""
        with self._store.read() as connection:
            return [Delivery(at, host, body) for at, host, body in events_after(connection, after, limit)]

    def wait(self, after: int, timeout: float) -> bool:
        """See Bus."""
        with self._appended:
            return self._appended.wait_for(lambda: self.head() > after, timeout)

    def head(self) -> int:
        """See Bus."""
        with self._store.read() as connection:
            return connection.execute(select(func.max(table.c.seq))).scalar_one() or 0

    def _wake(self) -> None:
        with self._appended:
            self._appended.notify_all()


def _row(host: str, event: dict[str, Any], received: int) -> dict[str, Any]:
    return {
        "id": event["id"],
        "host": host,
        "kind": event["kind"],
        "session": event.get("session"),
        "target": event.get("target"),
        "time": event["time"],
        "mono": event["mono"],
        "received": received,
        "body": event,
    }
