# SPDX-License-Identifier: Apache-2.0
"""Follows the feed for one destination: tells in order, tries again, gives up only with a count."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc

from controller.export import feed
from controller.export.sender import LostError, RefusedError, SendError, open_sender
from controller.store import exports
from controller.store.engine import StoreError
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from controller.export.destination import Destination
    from controller.export.feed import Step
    from controller.export.sender import Sender
    from controller.store.engine import Store

log = logging.getLogger(__name__)

BATCH: Final = 50
"""Messages told before the cursor moves: at most so many are told twice after a kill."""
IDLE_S: Final = 0.5
RETRY_S: Final = (1.0, 300.0)
"""First and longest pause after a failure; it doubles between them, and a fifth of it is chance."""
MAX_ERROR: Final = 300


class Follower:
    """One thread, one destination, one cursor."""

    def __init__(
        self,
        store: Store,
        destination: Destination,
        sender: Sender | None = None,
        *,
        retry_s: tuple[float, float] = RETRY_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """DestinationError: it cannot work as it is configured."""
        self.destination: Final = destination
        self._store = store
        self._sender = sender if sender is not None else open_sender(destination)
        self._retry_s = retry_s
        self._clock = clock
        self._unsure: int | None = None
        """Where the last batch began that went out on a connection that may yet prove to be dead."""
        self._noted: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"export-{destination.name}", daemon=True)

    def start(self) -> None:
        """Begins at its cursor; a new destination's is at the end of what there is, unless it backfills."""
        name, what, backfill = self.destination.name, self.destination.what, self.destination.backfill
        self._store.write(lambda connection: exports.begin(connection, name, what, backfill=backfill))
        self._thread.start()

    def stop(self) -> None:
        """Ends after the message that is under way; what is not told is told at the next start."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        """Waits for the end; a receiver that hangs does not hold up the controller's."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def run_once(self) -> int:
        """Deals with the next positions, at most a batch; how many. SendError when the first of them failed."""
        name = self.destination.name
        with self._store.read() as connection:
            row = exports.progress(connection, name)
            if row is None:
                raise StoreError(f"the export {name} has no row")
            if exports.head(connection, self.destination.what) <= row.seq:
                return 0
            steps = feed.steps(connection, self.destination, row.seq, BATCH)
        counts: Counter[str] = Counter()
        position, failure = self._tell(steps, row.seq, counts)
        if isinstance(failure, LostError) and self._unsure is not None:
            position, self._unsure = min(self._unsure, position), None  # told again, with the same ids
            counts["sent"] = 0
        elif failure is None:
            self._unsure = row.seq
        self._keep(position, counts, failure)
        if failure is not None:
            raise failure
        return len(steps)

    def _tell(
        self, steps: Sequence[Step], position: int, counts: Counter[str]
    ) -> tuple[int, SendError | None]:
        """How far it came, and what stopped it."""
        began = position
        oldest = self._clock() - self.destination.keep_ns
        try:
            for step in steps:
                if self._stopping.is_set():
                    break
                if step.item is None:
                    counts["left_out"] += 1
                elif step.time < oldest:
                    counts["given_up"] += 1
                else:
                    self._one(step, counts)
                position = step.seq
            self._sender.flush()
        except LostError as error:
            return began, error
        except SendError as error:
            return position, error
        return position, None

    def _one(self, step: Step, counts: Counter[str]) -> None:
        assert step.item is not None  # noqa: S101 - the caller looked
        try:
            self._sender.send(step.item)
        except RefusedError as error:
            counts["given_up"] += 1
            counts["failed"] += 1
            log.warning("export %s: %s is not told: %s", self.destination.name, step.item.id, error)
            self._note(str(error))
            return
        except SendError:
            raise
        except Exception as error:
            # A message that cannot be put into its format must not hold up all that come after it.
            log.exception("export %s: %s could not be told", self.destination.name, step.item.id)
            counts["given_up"] += 1
            self._note(f"{step.item.id}: {error!r}")
            return
        counts["sent"] += 1

    def _note(self, text: str) -> None:
        self._noted = wire.printable(text)[:MAX_ERROR]

    def _keep(self, position: int, counts: Counter[str], failure: SendError | None) -> None:
        values: dict[str, object] = {}
        if self._noted is not None:
            values["last_error"], self._noted = self._noted, None
        if counts["sent"]:
            values |= {"last_sent": self._clock(), "failing_since": None}
        if failure is not None:
            counts["failed"] += 1
            values["last_error"] = wire.printable(str(failure))[:MAX_ERROR]
        name = self.destination.name

        def keep(connection: Connection) -> None:
            row = exports.progress(connection, name)
            if failure is not None and row is not None and (row.failing_since is None or counts["sent"]):
                values["failing_since"] = self._clock()
            exports.advance(connection, name, position, counts, **values)

        self._store.write(keep)

    def _follow(self) -> None:
        pause = self._retry_s[0]
        while not self._stopping.is_set():
            try:
                if self.run_once() == 0:
                    self._stopping.wait(IDLE_S)
                pause = self._retry_s[0]
                continue
            except SendError as error:
                wanted = max(pause, error.after_s or 0.0)
                log.warning("export %s: %s; trying again in %.0f s", self.destination.name, error, wanted)
            except (StoreError, exc.OperationalError) as error:
                wanted = pause
                log.warning("export %s: the database: %s", self.destination.name, error)
            except Exception:
                wanted = self._retry_s[1]
                log.exception("export %s: a defect of nsentry", self.destination.name)
            self._sender.close()
            self._stopping.wait(wanted * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
            pause = min(2 * pause, self._retry_s[1])
        self._sender.close()
