# SPDX-License-Identifier: Apache-2.0
"""What happens shows without a reload, and nothing moves under the cursor (Q9)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visits import SHELL, ago, container
from tests.controller.serving import wait_for

pytestmark = pytest.mark.browser


def _order(page):
    return [row.get_attribute("id") for row in page.locator(".alerts > li").all()]


def test_new_alert_shows_as_a_pill_and_moves_no_row(open_page, hosts):
    """Q9: a visit that comes in now shows as "1 new"; counts follow; the rows stay as they were."""
    page = open_page("/alerts?host=db-1&state=all")
    page.wait_for_selector("#live[data-live=on]")
    open_before = int(page.inner_text("#open-count"))
    page.evaluate("window.notReloaded = true")
    order = _order(page)
    assert page.locator("#new").is_hidden()
    box = container("ledger", "ledger:1")
    hosts["db-1"].send(*hosts["db-1"].visit(box, ago(seconds=2)).exec(*SHELL, tty="pts/0").events)
    page.wait_for_selector("#new:not([hidden])")
    assert page.inner_text("#new") == "1 new"
    expect(page.locator("#open-count")).to_have_text(str(open_before + 1))
    assert "ledger" in page.inner_text("#facet-container")
    assert _order(page) == order
    assert page.evaluate("window.notReloaded")
    page.click("#new")
    assert "ledger" in page.inner_text(".alerts")


def test_pill_counts_only_what_the_filters_show(open_page, hosts):
    """A new alert that the filters leave out makes no pill."""
    page = open_page("/alerts?container=payments")
    page.wait_for_selector("#live[data-live=on]")
    total = page.inner_text(".rail .total")
    box = container("elsewhere", "elsewhere:1")
    hosts["db-1"].send(*hosts["db-1"].visit(box, ago(seconds=2)).exec(*SHELL, tty="pts/0").events)
    expect(page.locator("#facet-container")).to_contain_text("elsewhere")
    assert page.locator("#new").is_hidden()
    assert page.inner_text(".rail .total") == total


def test_alert_page_follows_the_visit(open_page, hosts, served):
    """While somebody is inside, each command appears on the open page, and an open panel stays open."""
    visit = hosts["edge-1"].visit(container("followed", "app:2"), ago(seconds=30)).exec(*SHELL, tty="pts/0")
    hosts["edge-1"].send(*visit.events)
    wait_for(lambda: "followed" in served.alerts())
    page = open_page("/alerts?q=followed")
    page.click("a.open")
    page.wait_for_selector("#live[data-live=on]")
    page.click("#raw > summary")
    page.fill("#comment", "half a sentence")
    before = len(visit.events)
    hosts["edge-1"].send(*visit.wait(3).run("/usr/bin/whoami", ["whoami", "--now"]).events[before:])
    page.wait_for_selector(".steps >> text=whoami --now")
    assert page.locator(".tree >> text=whoami --now").count() == 1
    assert page.locator("#raw").get_attribute("open") is not None
    assert page.input_value("#comment") == "half a sentence"


def test_others_see_that_an_alert_is_taken(open_page):
    """X3: what one takes shows at once, in its row, to whoever has the list open."""
    page = open_page("/alerts?container=runner-3", user="grace")
    page.wait_for_selector("#live[data-live=on]")
    other = open_page("/alerts?container=runner-3", user="ada")
    other.get_by_role("button", name="Take it").click()
    other.wait_for_selector(".assignee >> text=ada")
    page.wait_for_selector(".assignee >> text=ada")
