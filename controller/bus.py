# SPDX-License-Identifier: Apache-2.0
"""Skeleton: the bus between ingest and those that consume events; bodies follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future


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
    """Durable, ordered, at least once. The embedded one is the `events` table."""

    def append(self, host: str, events: Sequence[dict[str, Any]], received: int) -> Future[Appended]:
        """Stores the events that it does not have yet; done only once they are on the disk."""
        ...

    def read(self, after: int, limit: int) -> list[Delivery]:
        """Up to `limit` events after the sequence number `after`, in order."""
        ...

    def wait(self, after: int, timeout: float) -> bool:
        """True as soon as there is an event after `after`; False when there was none for `timeout` seconds."""
        ...
