# SPDX-License-Identifier: Apache-2.0
"""From the spool to the controller: in order, at least once, nothing given up but what is refused for itself.

An answer decides what becomes of a batch:
    200            stored: the spool may forget it
    400 413 422    something in it is refused: it is halved until that event stands alone, and is set aside;
                   so with a 403 that names the index of an event
    all else       it stays, and is tried again after a wait; `trouble()` says what a person has to do
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from sensor import __version__, wire
from sensor.backoff import Backoff
from sensor.fault import Fault
from sensor.health import Counters
from sensor.spool import Pending, Spool
from sensor.uplink import Answer, Uplink

_log: Final = logging.getLogger(__name__)

BATCHES: Final = "/api/v1/batches"
HEARTBEAT: Final = "/api/v1/heartbeat"
_SYNC_S: Final = 1.0
_REFUSED_ALONE: Final = frozenset({400, 413, 422})
_SUSPICIOUS: Final = 8
"""Refusals in a row, nothing accepted between: then the controller is wrong, not the events."""


class Shipper:
    """A thread that empties the spool into the controller. No other thread uses its `uplink`."""

    def __init__(
        self,
        spool: Spool,
        uplink: Uplink,
        host: wire.Host,
        counters: Counters,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._spool = spool
        self._uplink = uplink
        self._host = host
        self._counters = counters
        self._backoff = backoff or Backoff()
        self._trouble: str | None = None
        self._refused_in_a_row = 0
        self._work: deque[Pending] = deque()
        self._stop = threading.Event()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self, drain_s: float = 2.0) -> bool:
        """Send what waits, for as long as `drain_s` and the controller allow; True when nothing is left.

        What is left stays in the spool for the next sensor.
        """
        self._deadline = time.monotonic() + drain_s
        self._stop.set()
        self._spool.wake()
        if self._thread.is_alive():
            self._thread.join(drain_s + 0.5)
        return not self._spool.wait(0)

    def trouble(self) -> list[str]:
        """Why events do not arrive now, and what to do about it; empty when they do."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set():
            return [
                "nothing is delivered any more: a defect ended the thread; the log has it. Restart the sensor"
            ]
        return [self._trouble] if self._trouble else []

    def _run(self) -> None:
        while not self._over():
            self._spool.sync()
            if self._spool.wait(0 if self._stop.is_set() else _SYNC_S):
                self.deliver()
            elif self._stop.is_set():
                break
        self._spool.sync()
        self._uplink.close()

    def _over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def deliver(self) -> bool:
        """One request for the oldest events, and what its answer asks for; False: to be tried again."""
        if not self._work:
            self._work.append(self._spool.peek())
        pending = self._work.popleft()
        if not pending:
            return True
        try:
            answer = self._uplink.post(BATCHES, self._packed(pending))
        except Fault as fault:
            advice = f" (to mend it: {fault.fix})" if fault.fix else ""
            self._again(pending, "unreachable", fault.sentence + advice)
            return False
        return self._settle(pending, answer)

    def _packed(self, pending: Pending) -> bytes:
        return wire.pack_batch(self._host, __version__, time.time_ns(), pending.events)

    def _settle(self, pending: Pending, answer: Answer) -> bool:
        if answer.status == 200:
            return self._stored(pending, answer)
        if answer.status in _REFUSED_ALONE or (answer.status == 403 and answer.index() is not None):
            return self._narrow(pending, answer)
        cause, advice = advise(answer)
        self._again(pending, cause, advice, answer.retry_after)
        return False

    def _stored(self, pending: Pending, answer: Answer) -> bool:
        try:
            ack = wire.unpack(answer.body)
            told = int(ack["stored"]) + int(ack["duplicate"]) + len(ack.get("refused", ()))
        except (ValueError, KeyError, TypeError) as error:
            self._again(
                pending, "bad_answer", f"{self._uplink.url} does not answer as a controller does: {error}"
            )
            return False
        if told != len(pending):
            self._counters.add("ship.ack_mismatch")
        self._spool.ack(pending)
        self._counters.add("ship.batches")
        self._counters.add("ship.events", len(pending))
        self._refused_in_a_row = 0
        self._backoff.succeeded()
        if self._trouble:
            _log.info("the controller takes events again")
            self._trouble = None
        return True

    def _narrow(self, pending: Pending, answer: Answer) -> bool:
        """Find the event that is refused: where the answer says it is, else by halves. Order is kept."""
        if len(pending) > 1:
            hint = answer.index()
            if hint is not None and 0 <= hint < len(pending):
                cuts = sorted({0, hint, hint + 1, len(pending)})
            else:
                cuts = [0, len(pending) // 2, len(pending)]
            parts = [pending.part(start, stop) for start, stop in pairwise(cuts)]
            self._work.extendleft(reversed(parts))
            self._counters.add("ship.narrowed")
            return True
        self._refused_in_a_row += 1
        self._counters.add("ship.refused")
        _log.error("the controller refuses event %s: %s", pending.token[0], answer.sentence())
        if self._refused_in_a_row > _SUSPICIOUS:
            sentence = f"the controller refuses one event after the other, the last with: {answer.sentence()}"
            self._wait(sentence, answer.retry_after)
        self._spool.refuse(pending, answer.sentence())
        return True

    def _again(self, pending: Pending, cause: str, sentence: str, retry_after: str | None = None) -> None:
        self._counters.add(f"ship.failed.{cause}")
        self._work.appendleft(pending)
        self._wait(sentence, retry_after)

    def _wait(self, sentence: str, retry_after: str | None) -> None:
        if self._trouble != sentence:
            _log.warning("%s", sentence)
            self._trouble = sentence
        seconds = self._backoff.failed(retry_after)
        self._counters.add("ship.retries")
        end = time.monotonic() + seconds
        # sync() goes on meanwhile: what arrives while the controller is away has to outlive a power cut too.
        while not self._stop.wait(min(_SYNC_S, max(0.0, end - time.monotonic()))):
            self._spool.sync()
            if time.monotonic() >= end:
                return
        # Stopping: one failure is enough, the rest stays in the spool.
        self._deadline = time.monotonic()


def advise(answer: Answer) -> tuple[str, str]:
    """Name of a failure, for the counters, and what a person should know of it."""
    said = answer.sentence()
    match answer.status:
        case 401 | 403:
            return "credential", (
                f"the controller does not accept this sensor: {said}. Enrol again: nsentry-sensor enroll"
            )
        case 426:
            return "version", (
                f"sensor {__version__} speaks wire version {wire.VERSION}, the controller does not: {said}"
            )
        case 408 | 425 | 429:
            return "busy", f"the controller is busy: {said}"
        case status if status >= 500:
            return "controller", f"the controller failed: {said}"
        case status:
            return (
                "status",
                f"the controller's address answers with status {status}: {said}. Is it the right one?",
            )


def heartbeat_sender(uplink: Uplink) -> Callable[[wire.Heartbeat], None]:
    """What health.Heartbeats calls. `uplink` is its own: no other thread uses it."""

    def send(message: wire.Heartbeat) -> None:
        answer = uplink.post(HEARTBEAT, wire.pack(message))
        if answer.status != 200:
            raise OSError(advise(answer)[1])

    return send
