# SPDX-License-Identifier: Apache-2.0
"""Commands that the kernel left out of sessions that flood, told as losses, by container."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from sensor.wire import Event, Loss

LEFT_OUT: Final = "kernel.lost.commands"
_MAX_SESSIONS: Final = 4096
"""As many as the kernel's map of budgets holds."""


class LeftOut:
    """Knows which container a session is in, and what of its commands was told as left out already."""

    def __init__(self, next_id: Callable[[], str], emit: Callable[[Event], None]) -> None:
        self._next_id = next_id
        self._emit = emit
        self._containers: OrderedDict[int, str] = OrderedDict()
        self._told: Counter[int] = Counter()

    def entered(self, cookie: int, container: str | None) -> None:
        """A session has begun. It is remembered beyond its end: what it left out may be read later."""
        if container is None:
            return
        self._containers[cookie] = container
        if len(self._containers) > _MAX_SESSIONS:
            gone, _ = self._containers.popitem(last=False)
            del self._told[gone]

    def tell(self, left_out: Mapping[int, int], total: int) -> None:
        """`left_out` is by session, since each began; `total` is what is to be told since the last call.

        What of it belongs to no session of a container that is known is told as of none.
        """
        more: Counter[str] = Counter()
        for cookie, count in left_out.items():
            container = self._containers.get(cookie)
            if container is not None and count > self._told[cookie]:
                more[container] += count - self._told[cookie]
                self._told[cookie] = count
        for container, count in more.items():
            self._lose(count, container)
        if (rest := total - more.total()) > 0:
            self._lose(rest, None)

    def _lose(self, count: int, container: str | None) -> None:
        loss = Loss(
            id=self._next_id(),
            time=time.time_ns(),
            mono=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            kind="loss",
            cause=LEFT_OUT,
            count=count,
        )
        if container is not None:
            loss["container_id"] = container
        self._emit(loss)
