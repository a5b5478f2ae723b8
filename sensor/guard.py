# SPDX-License-Identifier: Apache-2.0
"""The sensor watches its own: pins, turn and hooks, at every heartbeat. What is wrong is told, and mended."""

from __future__ import annotations

import logging
import time
from typing import Final

from sensor.canary import Canary
from sensor.health import Degraded
from sensor.life import Life
from sensor.probe import Probe, ProbeError

_log: Final = logging.getLogger(__name__)
ANSWER_S: Final = 3.0
"""How long the hooks have to see what the canary does: it goes through the ring."""
RELOAD_S: Final = 300.0
"""The programs are loaded anew at most this often."""
_TOPIC: Final = "guard"


class Guard:
    """On the probe's thread."""

    def __init__(self, life: Life, degraded: Degraded, interval_s: float) -> None:
        self._life = life
        self._degraded = degraded
        self._interval_s = interval_s
        self.canary = Canary()
        self._blind: list[str] = []
        self._next_song = 0.0
        self._answer: float | None = None
        self._next_reload = 0.0

    def turn(self, probe: Probe) -> bool:
        """Look, when it is time. True: the programs have to be loaded anew. Raises ProbeError."""
        now = time.monotonic()
        if self._answer is not None and now >= self._answer:
            self._answer = None
            return self._judge(self.canary.silent(probe), now)
        if now < self._next_song:
            return False
        self._next_song = now + max(self._interval_s, 2 * ANSWER_S)
        self._look_at_pins(probe)
        try:
            self.canary.sing(probe)
        except OSError as error:
            _log.warning("the hooks cannot be tried: %s", error)
            return False
        self._answer = now + ANSWER_S
        return False

    def _look_at_pins(self, probe: Probe) -> None:
        damage = probe.damage()
        if not damage:
            return
        said = "; ".join(damage)
        _log.error("somebody changed what the sensor pinned: %s", said)
        self._life.note("blind", said)
        try:
            probe.mend()
        except ProbeError as error:
            self._degraded.say("pins", f"what was pinned cannot be pinned again: {error}")
            return
        self._life.note("mended", said)

    def _judge(self, silent: list[str], now: float) -> bool:
        if not silent:
            if self._blind:
                self._life.note("mended", f"seen again: {', '.join(self._blind)}")
                self._degraded.say(_TOPIC, None)
            self._blind = []
            return False
        if silent != self._blind:
            said = f"not seen, although the sensor did it itself: {', '.join(silent)}"
            _log.error("%s", said)
            self._life.note("blind", said)
            self._degraded.say(_TOPIC, f"a hook does not fire: {said}")
        self._blind = silent
        if now < self._next_reload:
            return False
        self._next_reload = now + RELOAD_S
        return True
