# SPDX-License-Identifier: Apache-2.0
"""What happens shows without a reload, and nothing moves under the cursor (Q9)."""

from __future__ import annotations

import pytest

from tests.browser.visits import SHELL, ago, container

pytestmark = pytest.mark.browser


def _order(page):
    return [row.get_attribute("id") for row in page.locator(".alerts > li").all()]


def test_new_alert_shows_as_a_pill_and_moves_no_row(open_page, hosts):
    """Q9: a visit that comes in now shows as "1 new"; counts follow; the rows stay as they were."""
    page = open_page("/alerts?host=db-1&state=any")
    page.wait_for_selector("#live[data-live=on]")
    open_before = int(page.inner_text("#open-count"))
    page.evaluate("window.notReloaded = true")
    order = _order(page)
    assert page.locator("#new").is_hidden()
    box = container("ledger", "ledger:1")
    hosts["db-1"].send(*hosts["db-1"].visit(box, ago(seconds=2)).exec(*SHELL, tty="pts/0").events)
    page.wait_for_selector("#new:not([hidden])")
    assert page.inner_text("#new") == "1 new"
    page.wait_for_function(f"Number(document.getElementById('open-count').textContent) > {open_before}")
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
    page.wait_for_function("document.getElementById('facet-container').textContent.includes('elsewhere')")
    assert page.locator("#new").is_hidden()
    assert page.inner_text(".rail .total") == total


def test_alert_page_follows_the_visit(open_page, hosts, served):
    """While somebody is inside, each command appears on the open page, and an open panel stays open."""
    visit = hosts["edge-1"].visit(container("followed", "app:2"), ago(seconds=30)).exec(*SHELL, tty="pts/0")
    hosts["edge-1"].send(*visit.events)
    list_ = open_page("/alerts?q=followed")
    list_.wait_for_selector(".alerts a.open >> nth=0", timeout=10_000) if list_.locator(
        ".alerts"
    ).count() else list_.click("#new")
    list_.click("a.open")
    list_.wait_for_selector("#live[data-live=on]")
    list_.click("#raw > summary")
    list_.fill("#comment", "half a sentence")
    before = len(visit.events)
    hosts["edge-1"].send(*visit.wait(3).run("/usr/bin/whoami", ["whoami", "--now"]).events[before:])
    list_.wait_for_selector(".steps >> text=whoami --now")
    assert list_.locator(".tree >> text=whoami --now").count() == 1
    assert list_.locator("#raw").get_attribute("open") is not None
    assert list_.input_value("#comment") == "half a sentence"


def test_others_see_that_an_alert_is_taken(open_page):
    """X3: what one takes shows at once, in its row, to whoever has the list open."""
    page = open_page("/alerts?container=runner-3", user="grace")
    page.wait_for_selector("#live[data-live=on]")
    other = open_page("/alerts?container=runner-3", user="ada")
    other.get_by_role("button", name="Take it").click()
    other.wait_for_selector(".assignee >> text=ada")
    page.wait_for_selector(".assignee >> text=ada")
