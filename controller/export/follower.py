# SPDX-License-Identifier: Apache-2.0
"""Follows the feed for one destination: tells in order, tries again, gives up only with a count.

A message that the receiver does not take, while it takes the one behind it, is a dead letter: it is listed, and holds
nothing up. Which one it is, is learned by telling one at a time after a failure.
"""

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
STUCK_TRIES: Final = 5
"""Failures at one place after which it is tried whether the receiver takes the next message."""
SURE_S: Final = 10.0
"""How long the last batch may prove to be lost; a receiver that ends an idle connection later has it."""
LINGER_S: Final = 1.0
"""How long a receiver that does not acknowledge has to end a connection for what it was told."""


class Follower:
    """One thread, one destination, one cursor."""

    def __init__(
        self,
        store: Store,
        destination: Destination,
        sender: Sender | None = None,
        *,
        retry_s: tuple[float, float] = RETRY_S,
        linger_s: float = LINGER_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """DestinationError: it cannot work as it is configured."""
        self.destination: Final = destination
        self._store = store
        self._sender = sender if sender is not None else open_sender(destination)
        self._retry_s, self._linger_s = retry_s, linger_s
        self._clock = clock
        self._told = 0.0
        self._unsure: int | None = None
        """Where the last batch began that went out on a connection that may yet prove to be dead."""
        self._stuck = (-1, 0)
        """Where the cursor stood at the last failure, and how often in a row it did."""
        self._letters: list[exports.Letter] = []
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
            idle = exports.head(connection, self.destination.what) <= row.seq
            steps = [] if idle else feed.steps(connection, self.destination, row.seq, BATCH)
        if idle:
            self._look_back(row.seq)
            return 0
        counts: Counter[str] = Counter()
        if self._stuck[0] == row.seq and self._stuck[1] >= STUCK_TRIES:
            self._pass_by(steps, row.seq, counts)
            return len(steps)
        if self._stuck[0] >= row.seq:
            steps = steps[:1]
        position, failure = self._tell(steps, row.seq, counts)
        if isinstance(failure, LostError) and self._unsure is not None:
            position, self._unsure = min(self._unsure, position), None  # told again, with the same ids
            counts["sent"] = 0
        elif failure is None:
            self._unsure, self._told = row.seq, time.monotonic()
        self._keep(position, counts, failure)
        if failure is not None:
            raise failure
        return len(steps)

    def _look_back(self, position: int) -> None:
        """Whether the receiver has ended the connection on which the last batch went. LostError: it is told again."""
        if self._unsure is None:
            return
        try:
            self._sender.flush()
        except LostError as error:
            again, self._unsure = min(self._unsure, position), None
            self._keep(again, Counter(), error)
            raise
        if time.monotonic() - self._told > SURE_S:
            self._unsure = None

    def _pass_by(self, steps: Sequence[Step], began: int, counts: Counter[str]) -> None:
        """Tells the next message; where the receiver takes the one behind it instead, that one. SendError: neither."""
        wanted = [step for step in steps if step.item is not None][:2]
        told, last = wanted[:1], wanted[0] if wanted else steps[-1]
        try:
            if wanted:
                self._surely(wanted[0])
        except SendError as error:
            told = []
            if not isinstance(error, RefusedError):
                if len(wanted) < 2 or error.after_s is not None or not self._takes(wanted[1]):
                    self._keep(began, counts, error)
                    raise
                told, last = wanted[1:], wanted[1]
            self._bury(wanted[0], str(error), counts)
        counts["sent"] += len(told)
        counts["left_out"] += sum(step.item is None for step in steps if step.seq <= last.seq)
        self._unsure, self._stuck = None, (-1, 0)
        self._keep(last.seq, counts, None)

    def _takes(self, step: Step) -> bool:
        try:
            self._surely(step)
        except SendError:
            return False
        return True

    def _surely(self, step: Step) -> None:
        """Tells one message, and waits whether the receiver ends the connection for it. SendError."""
        assert step.item is not None  # noqa: S101 - the caller looked
        self._sender.send(step.item)
        self._sender.flush()
        self._stopping.wait(self._linger_s)
        self._sender.flush()

    def _bury(self, step: Step, reason: str, counts: Counter[str]) -> None:
        assert step.item is not None  # noqa: S101 - the caller looked
        counts["given_up"] += 1
        log.warning("export %s: %s is not told: %s", self.destination.name, step.item.id, reason)
        said = wire.printable(reason)[:MAX_ERROR]
        self._noted = said
        self._letters.append(exports.Letter(step.seq, step.item.id[:256], self._clock(), said))

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
            counts["failed"] += 1
            self._bury(step, str(error), counts)
            return
        except SendError:
            raise
        except Exception as error:
            # A message that cannot be put into its format must not hold up all that come after it.
            log.exception("export %s: %s could not be told", self.destination.name, step.item.id)
            self._bury(step, f"{step.item.id}: {error!r}", counts)
            return
        counts["sent"] += 1

    def _keep(self, position: int, counts: Counter[str], failure: SendError | None) -> None:
        values: dict[str, object] = {}
        if self._noted is not None:
            values["last_error"], self._noted = self._noted, None
        if counts["sent"]:
            values |= {"last_sent": self._clock(), "failing_since": None}
        if failure is not None:
            counts["failed"] += 1
            values["last_error"] = wire.printable(str(failure))[:MAX_ERROR]
            self._stuck = (position, self._stuck[1] + 1 if position == self._stuck[0] else 1)
        name, buried = self.destination.name, self._letters

        def keep(connection: Connection) -> None:
            row = exports.progress(connection, name)
            if failure is not None and row is not None and (row.failing_since is None or counts["sent"]):
                values["failing_since"] = self._clock()
            exports.advance(connection, name, position, counts, **values)
            exports.bury(connection, name, buried)

        self._store.write(keep)
        self._letters = []

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
