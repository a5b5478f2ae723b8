# SPDX-License-Identifier: Apache-2.0
"""What is learned of containers in its own time: asked for, noted, and sent as updates of what was told before.

On the probe's thread, but for the metadata worker that asks daemons; its answers come back through a queue.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Protocol

from sensor.enrich.containers import Containers
from sensor.enrich.known import Known
from sensor.entry.configured import Configured
from sensor.entry.report import Reporter
from sensor.waiting import Incomplete, Waiting
from sensor.wire import Event, Missing, Update


class Metadata(Protocol):
    """Completes the description of a container in its own time, and says when it has."""

    def complete(self, known: Known, on_done: Callable[[Known], None]) -> None:
        """Calls `on_done` from another thread once nothing more will be learned of `known`."""

    def again(self, known: Known, on_done: Callable[[Known], None]) -> None:
        """The same for one that was complete, and has changed."""


class Descriptions:
    """Asks what containers are, and completes the events that were told before the answer."""

    def __init__(
        self,
        containers: Containers,
        metadata: Metadata,
        reporter: Reporter,
        emit: Callable[[Event], None],
        count: Callable[[str], None],
        noted: Callable[[Known], None] | None = None,
    ) -> None:
        self._containers = containers
        self._metadata = metadata
        self._reporter = reporter
        self._emit = emit
        self._count = count
        self._noted = noted
        self._settled: queue.SimpleQueue[Known] = queue.SimpleQueue()
        self.waiting = Waiting()
        self.configured: Configured | None = None
        """Set where it is to be told how containers are configured."""

    def ask(self, known: Known) -> None:
        """Of one that is new."""
        self._note(known)
        self._metadata.complete(known, self._settled.put)

    def learn(self, known: Known) -> None:
        """Of one that an earlier sensor knew: what is missing, or what may have changed since."""
        self._note(known)
        learn = self._metadata.complete if known.pending else self._metadata.again
        learn(known, self._settled.put)

    def changed(self, container_id: str) -> None:
        """Its configuration was changed: what its sources say is asked for once more."""
        known = self._containers.by_id(container_id)
        if known is not None:
            self._metadata.again(known, self._settled.put)

    def may_have_changed(self) -> None:
        """Nobody listened to a daemon for a while: what runs is asked for once more."""
        for known in self._containers.all():
            if not known.pending:
                self._metadata.again(known, self._settled.put)

    def wait(self, event: str, container: str, missing: dict[str, Missing]) -> None:
        """An event that was told is to be completed once its container is described."""
        rest = {path: why for path, why in missing.items() if not path.startswith(("container.", "means"))}
        if not self.waiting.add(container, Incomplete(event, rest)):
            self._count("enrich.waiting_full")
            self._reporter.undecidable(event)

    def tell(self) -> None:
        """Send what was learned since the last call, and what has waited long enough. Never waits."""
        while True:
            try:
                known = self._settled.get_nowait()
            except queue.Empty:
                return
            self._note(known)
            # Of one that stopped while no sensor ran nothing more may be known than what was told of it.
            runs = self._containers.by_id(known.id) is known
            if self.configured and (known.settings or runs):
                self.configured.tell(known, runs=runs)
            self._containers.touch(known)
            for event in self.waiting.pop(known.id):
                self._complete(event, known)

    def _complete(self, event: Incomplete, known: Known) -> None:
        container, missing = known.description
        means = self._reporter.decided(event.id, known)
        decided = {} if means is None else {"means": means}
        open_still = event.undecided or (means is not None and known.checks is None)
        undecided: dict[str, Missing] = {"means": "unknown"} if open_still else {}
        self._emit(
            Update(
                id=self._reporter.next_id(),
                time=time.time_ns(),
                mono=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
                kind="update",
                target=event.id,
                set={"container": container, **decided},
                missing={**event.rest, **missing, **undecided},
            )
        )

    def _note(self, known: Known) -> None:
        if self._noted:
            self._noted(known)
