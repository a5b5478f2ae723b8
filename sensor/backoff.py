# SPDX-License-Identifier: Apache-2.0
"""How long to wait before trying again: longer each time, at random, bounded, and as the other side asks."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from typing import Final

BASE_S: Final = 0.5
CEILING_S: Final = 60.0
MAX_ASKED_S: Final = 300.0
"""Longest wait that a Retry-After is followed for."""
_MAX_DOUBLINGS: Final = 16


class Backoff:
    """Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): anything from 0 to a doubling bound.

    So a fleet that lost its controller does not come back to it in one wave.
    """

    def __init__(self, base_s: float = BASE_S, ceiling_s: float = CEILING_S) -> None:
        self._base_s = base_s
        self._ceiling_s = ceiling_s
        self.failures = 0

    def succeeded(self) -> None:
        """Begin again from the shortest wait."""
        self.failures = 0

    def failed(self, retry_after: str | None = None) -> float:
        """Seconds to wait after one more failure; at least what a Retry-After asks for, within bounds."""
        bound = min(self._ceiling_s, self._base_s * 2 ** min(self.failures, _MAX_DOUBLINGS))
        self.failures += 1
        return asked_s(retry_after) + random.uniform(0.0, bound)  # noqa: S311 - no secret


def asked_s(retry_after: str | None) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3): a number or a date; 0 for neither."""
    if retry_after is None:
        return 0.0
    try:
        seconds = float(int(retry_after))
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), MAX_ASKED_S)
