# SPDX-License-Identifier: Apache-2.0
"""Times and lengths of time as people type them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any, Final

import click

from controller.policy.moments import later

MAX_TTL_S: Final = 30 * 86400

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(words: str) -> int | None:
    """The length of "30s", "15m", "2h" or "7d"; None for anything else."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", words)
    return int(match[1]) * _UNITS[match[2]] if match else None


class Moment(click.ParamType[int]):
    """A time: RFC 3339, or how long ago ("15m", "2h", "7d"). Becomes ns since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Called by click; `value` is the text of the option."""
        ago = seconds(str(value))
        if ago is not None:
            return time.time_ns() - ago * 1_000_000_000
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither RFC 3339 nor of the form 15m, 2h, 7d", param, ctx)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(aware.replace(microsecond=0).timestamp()) * 1_000_000_000 + aware.microsecond * 1000


class Duration(click.ParamType[int]):
    """A length of time such as "15m", "1h", "7d". Becomes seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Called by click; `value` is the text of the option."""
        length = seconds(str(value))
        if length is None or not 0 < length <= MAX_TTL_S:
            self.fail(f"{value!r} is not of the form 15m, 1h, 7d, or longer than 30d", param, ctx)
        return length


class Later(click.ParamType[int]):
    """A time to come: RFC 3339, "17:00" (the next, UTC), or "2h" from now. Becomes ns since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Called by click; `value` is the text of the option."""
        try:
            return later(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
