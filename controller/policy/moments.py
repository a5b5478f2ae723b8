# SPDX-License-Identifier: Apache-2.0
"""Times to come, as people type them: "17:00" (the next, UTC), "2h" from now, or RFC 3339."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""What is later does not fit into a database's integer, in ns."""


def later(words: str) -> int:
    """The moment in ns since the epoch. ValueError: it is none of these."""
    now, words = time.time_ns(), words.strip()
    ahead = re.fullmatch(r"(\d{1,9})([smhd])", words)
    if ahead:
        return now + int(ahead[1]) * _UNITS[ahead[2]] * 1_000_000_000
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", words)
    if clock:
        day = now // 86_400_000_000_000 * 86_400_000_000_000
        at = day + (int(clock[1]) * 60 + int(clock[2])) * 60_000_000_000
        return at if at > now else at + 86_400_000_000_000
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        raise ValueError(f"{words!r} is neither RFC 3339 nor of the form 17:00, 2h, 7d") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if aware > _LATEST:
        raise ValueError(f"{words!r} is too far away")
    return int(aware.timestamp()) * 1_000_000_000
