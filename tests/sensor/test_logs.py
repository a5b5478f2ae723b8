# SPDX-License-Identifier: Apache-2.0
"""The log: one line a record that no host or container can forge, as text or as JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest

from sensor import logs

HOSTILE = "argv \x1b[2J\u202e\nINFO forged: all is well"


@pytest.fixture
def written():
    stream = io.StringIO()

    def setup(form, level="info") -> io.StringIO:
        logs.setup(level, form, stream)
        return stream

    return setup


def test_a_plain_line_cannot_be_forged(written):
    stream = written("plain")
    logging.getLogger("sensor.ship").warning("%s", HOSTILE)
    (line,) = stream.getvalue().splitlines()
    assert " WARNING ship: argv \\x1b[2J\\u202e\\x0aINFO forged" in line


def test_a_json_line_holds_the_very_text(written):
    stream = written("json")
    logging.getLogger("sensor.spool").error("%s", HOSTILE)
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["message"] == HOSTILE
    assert (json.loads(line)["level"], json.loads(line)["area"]) == ("error", "spool")


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_traceback_belongs_to_its_line(written, form):
    stream = written(form)
    try:
        int(HOSTILE)
    except ValueError:
        logging.getLogger("sensor.x").exception("failed")
    text = stream.getvalue()
    assert "Traceback" in text
    assert "\x1b" not in text
    if form == "json":
        assert len(text.splitlines()) == 1
    else:
        assert all(line.startswith("  ") for line in text.splitlines()[1:])


def test_the_level_holds_and_the_last_setup_counts(written):
    stream = written("plain", "error")
    logging.getLogger("sensor.x").warning("no")
    written("plain", "debug")
    logging.getLogger("sensor.x").debug("yes")
    logging.getLogger("urllib3.connectionpool").debug("Authorization: Bearer secret")
    assert stream.getvalue().count("\n") == 1
    assert "yes" in stream.getvalue()
