# SPDX-License-Identifier: Apache-2.0
"""How the sensor is: counters, present values and what does not work, as one heartbeat.

The heartbeat goes to the controller at an interval, and to whoever asks on the status socket. Counting is on
the hot path; everything else is read when somebody asks.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sensor import __version__, wire
from sensor.fault import Fault

_log: Final = logging.getLogger(__name__)
_JITTER: Final = 0.1
"""Part of the interval by which heartbeats differ, so that a fleet does not speak in one voice."""

Send = Callable[[wire.Heartbeat], None]


class Counters:
    """Numbers that only grow while the sensor runs, by dotted name. Any thread may count."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, name: str, n: int = 1) -> None:
        """Count `n` more of `name`; 0 makes the name known."""
        with self._lock:
            self._values[name] = self._values.get(name, 0) + n

    def set_total(self, name: str, n: int) -> None:
        """Take over a total that somebody else counts, the kernel above all. It never goes back."""
        with self._lock:
            self._values[name] = max(n, self._values.get(name, 0))

    def get(self, name: str) -> int:
        """The present value; 0 for what was never counted."""
        return self._values.get(name, 0)

    def snapshot(self) -> dict[str, int]:
        """All of them, sorted by name."""
        with self._lock:
            return dict(sorted(self._values.items()))


class Gauges:
    """Present values, each asked of whoever knows it. None: not known now, and left out."""

    def __init__(self) -> None:
        self._sources: dict[str, Callable[[], float | None]] = {}

    def register(self, name: str, source: Callable[[], float | None]) -> None:
        """`source` is called from other threads, and has to be quick."""
        self._sources[name] = source

    def snapshot(self) -> dict[str, float]:
        """What is known now, sorted by name."""
        values = {name: source() for name, source in sorted(self._sources.items())}
        return {name: value for name, value in values.items() if value is not None}


class Degraded:
    """What does not work as it should: sentences, each from the part that it is about."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], list[str]]] = []
        self._standing: dict[str, str] = {}

    def register(self, source: Callable[[], list[str]]) -> None:
        """`source` gives the sentences that hold now, none when all is well."""
        self._sources.append(source)

    def say(self, topic: str, sentence: str | None) -> None:
        """Set the one sentence of a topic, or take it back with None."""
        if sentence is None:
            self._standing.pop(topic, None)
        else:
            self._standing[topic] = sentence

    def snapshot(self) -> list[str]:
        """The sentences that hold now."""
        found = [sentence for _, sentence in sorted(self._standing.copy().items())]
        return found + [sentence for source in self._sources for sentence in source()]


class Health:
    """Everything that the heartbeat says. One per sensor; the parts register themselves."""

    def __init__(self, host: wire.Host) -> None:
        self.host = host
        self.counters = Counters()
        self.gauges = Gauges()
        self.degraded = Degraded()
        self._started = time.time_ns()
        self._loader = "none"
        self._loader_reason = "no programs are loaded yet"
        self._hooks: dict[str, str] = {}
        self._pins = "nothing: no programs are loaded yet"
        self.gauges.register("memory.rss_bytes", resident_bytes)

    def watching(self, loader: str, reason: str, hooks: dict[str, str], pins: str) -> None:
        """Say what is loaded now: the loader, why this one, the hook of each purpose, and where it is pinned."""
        self._loader, self._loader_reason, self._hooks, self._pins = loader, reason, dict(hooks), pins

    def heartbeat(self) -> wire.Heartbeat:
        """The state at this moment."""
        return {
            "v": wire.VERSION,
            "host": self.host,
            "sensor": __version__,
            "sent": time.time_ns(),
            "started": self._started,
            "loader": self._loader,
            "loader_reason": self._loader_reason,
            "hooks": self._hooks,
            "pins": self._pins,
            "counters": self.counters.snapshot(),
            "gauges": self.gauges.snapshot(),
            "degraded": self.degraded.snapshot(),
        }


class Heartbeats:
    """A thread that sends the heartbeat at once, then every `interval_s`. A failure is counted, not repeated.

    `send` raises OSError or Fault when it did not arrive.
    """

    def __init__(self, health: Health, send: Send, interval_s: float) -> None:
        self._health = health
        self._send = send
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Send no more. Waits for one that is on its way, no longer than the timeout."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def beat(self) -> bool:
        """Send one now; False when it did not arrive."""
        try:
            self._send(self._health.heartbeat())
        except (OSError, Fault) as error:
            self._health.counters.add("heartbeat.failed")
            _log.debug("the heartbeat did not arrive: %s", error)
            return False
        self._health.counters.add("heartbeat.sent")
        return True

    def _run(self) -> None:
        while True:
            self.beat()
            spread = self._interval_s * _JITTER
            if self._stop.wait(self._interval_s + random.uniform(-spread, spread)):  # noqa: S311 - no secret
                return


def resident_bytes(proc: Path = Path("/proc")) -> float | None:
    """Resident memory of this process, from statm (proc(5)); None where it cannot be read."""
    try:
        pages = int((proc / "self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
