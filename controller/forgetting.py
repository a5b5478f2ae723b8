# SPDX-License-Identifier: Apache-2.0
"""The thread that has the store forget what is old (`store.retention`): in small steps, between which others write."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc

from controller.store import retention
from controller.store.engine import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.keeping import Retention
    from controller.store.engine import Store

log = logging.getLogger(__name__)

EACH_S: Final = 60.0
"""Between two looks at what has become old."""
BETWEEN_S: Final = 0.05
"""Between two steps, for what others write."""


class Forgetting:
    """Begun by `start`, ended by `stop`. What the database does not take is tried again at the next look."""

    def __init__(self, store: Store, kept: Retention, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._bounds = {"outside": kept.outside, "probes": kept.probes}
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forgetting", daemon=True)

    def start(self) -> None:
        """Begins to look. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step that is under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Forgets all that is old by now. Raises StoreError."""
        for kind in retention.KINDS:
            while not self._stopping.is_set() and self._step(kind):
                self._stopping.wait(BETWEEN_S)

    def _step(self, kind: retention.Kind) -> bool:
        bound, now = self._bounds[kind], self._clock()
        return self._store.write(lambda connection: retention.step(connection, kind, bound, now))

    def _run(self) -> None:
        while not self._stopping.wait(EACH_S):
            try:
                self.look()
            except (StoreError, exc.OperationalError) as error:
                log.warning("what is old stays for now, the database took no write: %s", error)
