# SPDX-License-Identifier: Apache-2.0
"""The page of exports: how each destination is, and what it did not take; reached by keyboard."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing

import pytest

from tests.browser.serving import dashboard
from tests.controller import make
from tests.controller.serving import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def exporting(tmp_path_factory):
    """A controller with a destination that takes all, one that nobody answers at, and one with a dead letter."""
    folder = tmp_path_factory.mktemp("exporting")
    tables = {
        "lines": {"kind": "file", "address": str(folder / "alerts.jsonl")},
        "siem": {"kind": "syslog", "address": "tcp://localhost:9"},
    }
    text = "".join(
        f'\n[[export]]\nname = "{name}"\n'
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )
    with dashboard(folder / "state") as running:
        running.stop()
        with (running.state / "controller.toml").open("a") as file:
            file.write(text)
        running.start()
        sensor = running.enrol()
        sensor.stored(*(make.entry(2 * each + 1, sensor.host, session=each) for each in range(4)))
        wait_for(running.judged)
        with closing(sqlite3.connect(running.state / "nsentry.db", timeout=30)) as database, database:
            said = "HTTP 422: <b>unknown field</b> \x1b[31m"
            row = ("siem", 1, "b5a7f8f1f2ab7c0a-1", time.time_ns(), said)
            database.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?)", row)
            database.execute("UPDATE exports SET given_up = 1 WHERE name = 'siem'")
        yield running


def test_a_destination_that_fails_is_found_by_keyboard_with_its_dead_letters(open_page, exporting):
    page = open_page("/alerts", at=exporting)
    page.keyboard.press("g")
    page.keyboard.press("x")
    page.wait_for_url("**/exports")
    page.wait_for_selector("text=failing", timeout=60_000)
    rows = {row.inner_text().split()[0]: row.inner_text() for row in page.locator("tbody tr").all()}
    assert "ok" in rows["lines"]
    assert "refused" in rows["siem"]
    if folder := os.environ.get("NSENTRY_PICTURES"):
        page.screenshot(path=f"{folder}/exports.png", full_page=True)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/exports/siem")
    assert "HTTP 422: <b>unknown field</b> \\x1b[31m" in page.inner_text("main")
    if folder := os.environ.get("NSENTRY_PICTURES"):
        page.screenshot(path=f"{folder}/export.png", full_page=True)
    twin = exporting.get("/exports/siem.json", exporting.session_of("ada")).json()
    assert twin["dead_letters"][0]["message"] == "b5a7f8f1f2ab7c0a-1"
    assert exporting.read("exports", "show", "siem")[0]["dead_letters"] == twin["dead_letters"]


def test_an_export_that_is_not_there_is_said_to_be_missing(exporting):
    assert exporting.get("/exports/nowhere", exporting.session_of("ada")).status_code == 404
