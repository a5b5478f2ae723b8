# SPDX-License-Identifier: Apache-2.0
"""Several alerts at once (Q7), by keyboard (Q8) and by mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visits import SHELL, ago, container
from tests.controller.serving import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def some(served, hosts, request):
    """Five new alerts of one container; returns the address of a list of them, and their ids, newest first.

    One name for all of these tests: each more would push others out of the list of containers to filter by.
    """
    word = f"bulk-{request.node.name.replace('_', '-')[:40]}"
    for number in range(5):
        visit = hosts["db-1"].visit(container("bulk", word), ago(minutes=30 + number))
        hosts["db-1"].send(*visit.exec(*SHELL, tty="pts/0").wait(1).leave().events)

    def mine():
        rows = served.read("alerts", "list", "--limit", "500")
        return [row for row in rows if row["container"]["image"] == word]

    wait_for(lambda: len(mine()) == 5)
    newest = sorted(mine(), key=lambda row: row["first_seen_ns"], reverse=True)
    return f"/alerts?q={word}&order=newest", [row["id"] for row in newest]


def _states(served, ids):
    rows = served.read("alerts", "list", "--state", "all", "--limit", "500")
    by_id = {row["id"]: row for row in rows}
    return [(by_id[each]["state"], by_id[each]["assignee"]) for each in ids]


def test_a_range_is_selected_and_closed_by_keyboard_alone(open_page, served, some):
    path, ids = some
    page = open_page(path)
    for key in ("j", "j", "x", "j", "j", "X"):
        page.keyboard.press(key)
    assert page.inner_text("#bulk-count") == "3 selected"
    page.keyboard.press("e")
    for key in ("ArrowDown", "Tab"):
        page.keyboard.press(key)
    page.keyboard.type("planned work")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".did >> text=3 alerts were closed.")
    closed = ("benign_true_positive", None)
    assert _states(served, ids) == [("new", None), closed, closed, closed, ("new", None)]
    assert page.locator(".alerts > li").count() == 2


def test_a_shift_click_selects_a_range_and_all_of_it_is_taken(open_page, served, some):
    path, ids = some
    page = open_page(path)
    boxes = page.locator(".pick")
    boxes.nth(4).click()
    boxes.nth(2).click(modifiers=["Shift"])
    boxes.nth(3).click()
    assert page.inner_text("#bulk-count") == "2 selected"
    page.keyboard.press("a")
    page.wait_for_selector(".did >> text=2 alerts were taken.")
    mine = ("acknowledged", "ada")
    assert _states(served, ids) == [("new", None), ("new", None), mine, ("new", None), mine]


def test_what_is_selected_stays_so_when_its_row_is_made_anew(open_page, served, some):
    """The live stream replaces rows; who selects must not find less selected at the end."""
    path, ids = some
    page = open_page(path)
    page.wait_for_selector("#live[data-live=on]")
    page.locator(".pick").nth(1).click()
    served.command("alerts", "ack", ids[1], "--assign", "bob")
    expect(page.locator(f"#row-{ids[1]} .assignee")).to_have_text("bob")
    expect(page.locator(f"#row-{ids[1]} .pick")).to_be_checked()
    assert page.inner_text("#bulk-count") == "1 selected"


def test_what_somebody_else_closed_meanwhile_is_left_and_told(open_page, served, some):
    path, ids = some
    page = open_page(path)
    page.locator(".pick").first.click()
    page.click("#bulk-all")
    served.command("alerts", "close", ids[0], "--as", "true_positive", "--reason", "mine")
    page.click("#bulk-take")
    page.wait_for_selector(
        ".did >> text=4 alerts were taken. Left as before, for they were closed already: 1."
    )
    assert _states(served, ids)[0] == ("true_positive", None)


def test_a_form_that_makes_no_sense_changes_nothing(served, some):
    _, ids = some
    cookie = served.session_of("ada")
    csrf = served.get("/alerts", cookie).text.partition('name="csrf" value="')[2].partition('"')[0]

    def post(**fields):
        data = {"csrf": csrf, "alerts": ",".join(ids), **fields}
        return served.ask(
            "POST", "/alerts/bulk", cookie, data=data, headers={"origin": served.url}
        ).status_code

    assert post(action="close", state="true_positive", reason=" ") == 400
    assert post(action="close", state="new", reason="x") == 400
    assert post(action="explode") == 400
    assert post(action="take", alerts="") == 400
    assert post(action="take", alerts=",".join(f"{n:016x}" for n in range(101))) == 400
    assert post(action="take", csrf="wrong") == 403
    assert post(action="take", alerts="0" * 16) == 303
    assert _states(served, ids) == [("new", None)] * 5
