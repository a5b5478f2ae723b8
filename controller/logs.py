# SPDX-License-Identifier: Apache-2.0
"""The log: lines on stderr, for the journal, in which nothing from a host can pass for a line of its own."""

from __future__ import annotations

import logging
import sys
import time

from sensor import wire


class LineFormatter(logging.Formatter):
    """`2026-11-24T04:24:01Z warning controller.app: message`, and what would steer a terminal as escapes."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows on lines that are indented."""
        shown = logging.makeLogRecord(record.__dict__)
        shown.msg, shown.args = wire.printable(record.getMessage()), ()
        shown.levelname = record.levelname.lower()
        first, *rest = super().format(shown).split("\n")
        return "\n".join([first, *(f"    {wire.printable(line)}" for line in rest)])


def configure(level: str) -> None:
    """Sends the log of this process to stderr, from `level` on ("info")."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Theirs say each connection, and each step of a start that we tell ourselves.
    for noisy in ("uvicorn", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
