# SPDX-License-Identifier: Apache-2.0
"""Nothing that a host sends can pass for a line of the log, or steer the terminal that shows it."""

from __future__ import annotations

import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from controller.logs import LineFormatter


def record(message, *arguments, exc_info=None):
    return logging.LogRecord("controller.app", logging.WARNING, "app.py", 1, message, arguments, exc_info)


@given(st.text())
def test_a_message_is_one_printable_line(words):
    line = LineFormatter().format(record("refused %s", words))

    assert line.isprintable()
    assert "Z warning controller.app: refused " in line


def test_a_traceback_is_indented_under_its_line():
    try:
        int("a\n2026-11-24T00:00:00Z error controller.app: forged \x1b[2J")
    except ValueError:
        lines = LineFormatter().format(record("failed", exc_info=sys.exc_info())).split("\n")

    assert lines[0].endswith("controller.app: failed")
    assert all(line.startswith("    ") and line.isprintable() for line in lines[1:])
