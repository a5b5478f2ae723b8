# SPDX-License-Identifier: Apache-2.0
"""The log, on stderr: lines for people, or one JSON object a line. Stdout is for what commands answer."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

from sensor.wire import printable

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["plain", "json"]

_QUIET: Final = ("urllib3",)
"""Libraries whose debug lines would tell of every request, headers included."""


def setup(level: Level = "info", form: Format = "plain", stream: TextIO | None = None) -> None:
    """Send all log records to `stream` (default stderr). May be called again: the last call holds."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Without this a closed stderr makes the log module write a traceback to it, for every line.
    logging.raiseExceptions = False


class _PlainLines(logging.Formatter):
    """`2026-11-24T06:41:13.123Z WARNING ship: the controller does not answer`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several where there is a traceback; nothing in it can steer the terminal."""
        area = record.name.removeprefix("sensor.")
        line = f"{_time(record)} {record.levelname} {area}: {printable(record.getMessage())}"
        if record.exc_info:
            lines = self.formatException(record.exc_info).splitlines()
            line += "".join(f"\n  {printable(one)}" for one in lines)
        return line


class _JsonLines(logging.Formatter):
    """The same as JSON: time, level, area, message, and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One object in one line, ASCII only."""
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "area": record.name.removeprefix("sensor."),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
