# SPDX-License-Identifier: Apache-2.0
"""All of it works without a mouse (Q8)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def _focus(page):
    return page.evaluate("document.activeElement.closest('li')?.id ?? document.activeElement.id")


def test_list_alert_close_by_keyboard_alone(open_page, served):
    """Q8: j and k move, Enter opens, a assigns, e closes with a reason, c comments: the whole way."""
    page = open_page("/alerts?host=build-7&order=newest")
    rows = [row.get_attribute("id") for row in page.locator(".alerts > li").all()]
    page.keyboard.press("j")
    assert _focus(page) == rows[0]
    page.keyboard.press("j")
    assert _focus(page) == rows[1]
    page.keyboard.press("k")
    assert _focus(page) == rows[0]
    page.keyboard.press("Enter")
    page.wait_for_selector("article#alert")
    alert = rows[0].removeprefix("row-")
    page.keyboard.press("a")
    page.wait_for_selector(".assigned >> text=ada")
    page.keyboard.press("c")
    page.keyboard.type("seen in the change calendar")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".comment-text >> text=seen in the change calendar")
    page.keyboard.press("e")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("planned work")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".closed-why >> text=planned work")
    told = served.get(f"/alerts/{alert}.json", page.context.cookies()[0]["value"]).json()
    assert (told["state"], told["assignee"]) == ("benign_true_positive", "ada")


def test_j_leads_to_the_next_alert_beside_an_open_one(open_page):
    """On an alert, j opens the next one of the list that it was chosen from."""
    page = open_page("/alerts?host=build-7&order=newest&state=all")
    ids = [row.get_attribute("data-alert") for row in page.locator(".alerts > li").all()]
    page.click(f"#row-{ids[1]} a.open")
    page.wait_for_url(f"**/{ids[1]}?*")
    page.keyboard.press("j")
    page.wait_for_url(f"**/{ids[2]}?*")


def test_e_on_a_row_opens_the_closing_of_that_alert(open_page):
    """On the list, e leads to the alert with the reasons open and the first in focus."""
    page = open_page("/alerts?container=payments")
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_url("**#closing")
    expect(page.locator("#close input[type=radio]").first).to_be_focused()
    page.keyboard.press("Escape")
    assert page.get_attribute("#close", "open") is None


def test_g_and_a_letter_go_and_question_mark_helps(open_page):
    """Pressing g h goes to the hosts; ? shows the keys; a letter in a field is a letter."""
    page = open_page()
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/hosts")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    page.goto("/alerts")
    page.keyboard.press("/")
    page.keyboard.type("jejg?")
    assert page.input_value("#search") == "jejg?"


def test_first_tab_stop_skips_to_the_content(open_page):
    """The skip link is the first stop, visible when it has the focus, and leads to the content."""
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
