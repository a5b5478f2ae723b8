# SPDX-License-Identifier: Apache-2.0
"""Facets, search and states: all of it in the address (Q4, Q5)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.browser


def _query(page):
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True)


def _hosts(page):
    return {each.inner_text() for each in page.locator(".alert .host").all()}


def test_facet_filters_and_the_address_keeps_it(open_page):
    """Q4, Q5: a click filters in; the address says it; a reload shows the same; a second one takes it off."""
    page = open_page()
    page.click("#facet-host a.in >> text=edge-1")
    assert _query(page) == {"host": ["edge-1"]}
    assert _hosts(page) == {"edge-1"}
    page.reload()
    assert _hosts(page) == {"edge-1"}
    assert page.locator("#facet-host .chosen").count() == 1
    page.click("#facet-host .chosen a.in")
    assert _query(page) == {}


def test_alt_click_leaves_a_value_out(open_page):
    """Q4: with alt, or by the minus beside it, a value is left out."""
    page = open_page()
    page.click("#facet-host a.in >> text=build-7", modifiers=["Alt"])
    assert _query(page) == {"-host": ["build-7"]}
    assert "build-7" not in _hosts(page)
    page.click(".chip.out")
    assert "build-7" in _hosts(page)


def test_search_keeps_the_filters(open_page):
    """Free text narrows what the facets left."""
    page = open_page("/alerts?host=edge-1")
    page.keyboard.press("/")
    page.keyboard.type("nsenter payments")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=nsenter**")
    assert _query(page)["host"] == ["edge-1"]
    assert page.locator(".alert").count() == 1


def test_nothing_found_says_how_to_go_on(open_page):
    """X6: an empty list says why, and leads out."""
    page = open_page("/alerts?q=no-such-thing")
    assert page.inner_text(".empty h2") == "No alert matches these filters"
    page.click(".empty a")
    assert page.locator(".alert").count() > 5


def test_every_page_has_its_json_twin(open_page):
    """Q5: the link "JSON" leads to the data of the very same view."""
    page = open_page("/alerts?host=edge-1&order=newest")
    shown = page.locator(".alert").count()
    href = page.get_attribute("a.twin", "href")
    assert len(page.request.get(href, ignore_https_errors=True).json()["alerts"]) == shown


def test_alerts_over_time_lead_to_their_stretch_by_keyboard(open_page):
    """Q6: the arrow keys go from bar to bar, Enter narrows the list, the chip takes it off."""
    page = open_page("/alerts?host=build-7")
    bars = page.locator("#histogram a")
    bars.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**at=*")
    assert page.locator(".alerts > li").count() == 1
    page.click(".chip >> text=time")
    page.wait_for_function("!location.search.includes('at=')")
    assert page.locator(".alerts > li").count() > 1


def test_a_drag_over_the_times_looks_closer(open_page):
    """Q6: what lies between the ends of the drag is listed."""
    page = open_page("/alerts?host=build-7")
    total = page.locator(".alerts > li").count()
    box = page.locator("#histogram").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, middle)
    page.mouse.up()
    page.wait_for_url("**at=*")
    assert 0 < page.locator(".alerts > li").count() < total
    assert _query(page)["host"] == ["build-7"]


def test_a_view_is_saved_found_by_others_and_removed(open_page):
    """Q5: the filters go under a name, which leads anybody back to them."""
    page = open_page("/alerts?host=build-7&order=newest")
    page.click("#views summary")
    page.fill("#views input[name=name]", "Builds <b>")
    page.keyboard.press("Enter")
    page.wait_for_selector("#views summary >> text=Builds <b>")
    other = open_page("/alerts", user="bob")
    other.click("#views summary")
    other.click("#views li a")
    other.wait_for_url("**host=build-7*")
    assert _hosts(other) == {"build-7"}
    assert _query(other)["order"] == ["newest"]
    other.click("#views summary")
    other.click("#views li button")
    other.wait_for_function("!document.querySelector('#views li')")
