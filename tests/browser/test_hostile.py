# SPDX-License-Identifier: Apache-2.0
"""X5: what an attacker chose is shown, whole and escaped, and never does anything."""

from __future__ import annotations

import json

import pytest

from tests.browser.seed import HOSTILE, MARKER, SCRIPT

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def hostile(served):
    """The alert of the hostile visit."""
    return next(row for name, row in served.alerts().items() if name.startswith("x<script>"))


def _pages(hostile):
    alert, session = f"/alerts/{hostile['id']}", f"/sessions/{hostile['session']}"
    return [
        "/alerts",
        alert,
        session,
        "/sessions",
        "/entries",
        "/records",
        "/containers",
        f"/containers/lab-3/{hostile['container']['id']}",
        "/hosts/lab-3",
        f"/alerts?container={'%3Cscript%3E'}&q=%22%3E",
    ]


def test_nothing_is_executed_on_any_page(open_page, hostile):
    """No script runs and no element is made, on any page, with all panels open."""
    page = open_page()
    for path in _pages(hostile):
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        assert page.title() != MARKER
        assert page.locator("main img, main script").count() == 0
        assert page.locator("[onerror]").count() == 0


def test_control_characters_are_visible_escapes(open_page, hostile):
    """Escape sequences, bidirectional and zero-width characters stand as marked escapes."""
    page = open_page(f"/alerts/{hostile['id']}")
    marked = set(page.locator(".esc").all_text_contents())
    assert {"\\x1b", "\\x07", "\\x9b", "\\u202e", "\\u2066", "\\u200b", "\\x0a", "\\x09", "\\x0d"} <= marked
    text = page.evaluate("document.body.textContent")
    assert not set(text) & set("\x1b\x07\x9b\u202e\u2066\u200b\x7f")
    assert SCRIPT in text
    assert "{{ 7 * 191 }}" in text


def test_long_argument_is_there_whole(open_page, hostile):
    """X2: a line of 4 KB is folded, and the whole of it opens at a key press."""
    page = open_page(f"/alerts/{hostile['id']}")
    long = page.locator(".steps details.long").first
    long.locator("summary").focus()
    page.keyboard.press("Enter")
    assert "B" * 3000 in long.locator(".whole").inner_text().replace("\n", "")


def test_copied_json_is_the_event_exactly(open_page, served, hostile):
    """A6: what "Copy" copies is JSON, holds the exact arguments, and has no control character in it."""
    page = open_page(f"/alerts/{hostile['id']}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url)
    page.click("#raw > summary")
    page.click("#raw .events > li:first-child summary")
    page.click("#raw .events > li:first-child .copy")
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied)["process"]["argv"][2:] == HOSTILE
    assert all(each == "\n" or each.isprintable() for each in copied)
