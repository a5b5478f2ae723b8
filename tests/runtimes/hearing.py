# SPDX-License-Identifier: Apache-2.0
"""The record sources of this host, as a sensor reads them, and all that they said of some places."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sensor.records.said import Said
from sensor.records.sources import Sources

PATIENCE_S = 60.0


class Heard:
    """What was said so far. Other daemons of this machine are listened to too, and left out."""

    def __init__(self, *places: object, since: int | None = None) -> None:
        self.places = [str(place) for place in places]
        self.said: list[Said] = []
        self.counts: dict[str, int] = {}
        self.sources = Sources(
            self.places, count=self._count, since=lambda known: since if known in self.places else None
        )

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def of(self, **wanted: Any) -> list[Said]:
        """All that has these values."""
        self.said += [each for each in self.sources.take() if each.place in self.places]
        return [
            each for each in self.said if all(getattr(each, name) == value for name, value in wanted.items())
        ]

    def until(self, **wanted: Any) -> Said:
        """The last that has these values, once there is one."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self.of(**wanted)):
            assert time.monotonic() < end, f"nobody said {wanted}; said was {self.said[-20:]}"
            time.sleep(0.02)
        return found[-1]


@contextmanager
def hearing(*places: object, since: int | None = None) -> Iterator[Heard]:
    """Listen during the block."""
    heard = Heard(*places, since=since)
    heard.sources.start()
    try:
        yield heard
    finally:
        heard.sources.close()
