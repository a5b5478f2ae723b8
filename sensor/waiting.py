# SPDX-License-Identifier: Apache-2.0
"""Events that were told before their container was described: each is completed by an update once it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgpack

from sensor.wire import Missing

MAX_WAITING: Final = 4096
"""Events that wait for the description of their container; more are left as they are, and counted."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """An event, and what it lacks that no description of the container brings."""

    id: str
    rest: dict[str, Missing]
    undecided: bool = False
    """Its means was open when the sensor that told it was killed, and is unknown therefore."""


class Waiting:
    """The events that wait, by container. On the probe's thread."""

    def __init__(self) -> None:
        self._events: dict[str, list[Incomplete]] = {}
        self._count = 0
        self._touched: set[str] = set()

    def add(self, container: str, event: Incomplete) -> bool:
        """False where too many wait already."""
        if self._count >= MAX_WAITING:
            return False
        self._events.setdefault(container, []).append(event)
        self._count += 1
        self._touched.add(container)
        return True

    def pop(self, container: str) -> list[Incomplete]:
        """Those that waited for this container, in order."""
        found = self._events.pop(container, [])
        self._count -= len(found)
        if found:
            self._touched.add(container)
        return found

    def changed(self, *, everything: bool = False) -> dict[str, list[Incomplete]]:
        """What waits for each container for which that changed since the last call."""
        touched, self._touched = self._touched, set()
        if everything:
            touched |= self._events.keys()
        return {container: self._events.get(container, []) for container in touched}


def pack(events: list[Incomplete], undecided: set[str]) -> bytes:
    """Inverse of `unpack`. `undecided` are those whose means is open."""
    return bytes(msgpack.packb([[one.id, one.rest, one.undecided or one.id in undecided] for one in events]))


def unpack(data: bytes) -> list[Incomplete]:
    """Raises ValueError."""
    try:
        return [
            Incomplete(named, rest, undecided=undecided) for named, rest, undecided in msgpack.unpackb(data)
        ]
    except (TypeError, ValueError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"no waiting events: {error}") from error
