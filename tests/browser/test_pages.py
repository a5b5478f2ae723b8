# SPDX-License-Identifier: Apache-2.0
"""Every page, in both themes and two sizes: accessible (X4), within its width, without a policy violation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.serving import dashboard

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
PAGES = {
    "alerts": "/alerts",
    "filtered": "/alerts?severity=high&-host=lab-3&state=all&q=root",
    "nothing": "/alerts?q=no-such-thing",
    "alert": "/alerts/{alert}",
    "hostile": "/alerts/{hostile}",
    "alert-configured": "/alerts/{configured}",
    "sessions": "/sessions",
    "session": "/sessions/{session}",
    "entries": "/entries",
    "records": "/records",
    "coverage": "/coverage",
    "entries-filtered": "/entries?means=ns-join",
    "containers": "/containers",
    "container": "/containers/edge-1/web",
    "container-hostile": "/containers/lab-3/{box}",
    "probes": "/sessions?means=probe",
    "hosts": "/hosts",
    "host": "/hosts/build-7",
    "host-notes": "/hosts/edge-1",
    "detections": "/detections",
    "detection": "/detections/ns_join",
    "exceptions": "/exceptions",
    "exceptions-preview": "/exceptions?expression=host+like+%22*%22",
    "exceptions-wrong": "/exceptions?expression=hosst+%3D%3D+%22a%22",
    "exception": "/exceptions/nightly-backup",
    "approvals": "/approvals",
    "approval": "/approvals/1",
    "audit": "/audit",
    "exports": "/exports",
    "missing": "/no-such-page",
}


@pytest.fixture(scope="module")
def paths(served):
    """The addresses of PAGES."""
    alerts = served.alerts()
    served.command("exceptions", "add", "nightly-backup", 'container.image like "backup:*"', "--reason", "known",
                   "--expires", "30d")  # fmt: skip
    served.command("approvals", "add", "jane", "--pod", "shop/*", "--until", "2h", "--change", "4711")
    payments = alerts["payments"]
    hostile = next(row for name, row in alerts.items() if name.startswith("x<script>"))
    names = {"alert": payments["id"], "session": payments["session"], "hostile": hostile["id"]}
    names["configured"] = next(
        row["id"] for row in served.read("alerts", "list", "--limit", "500") if row["means"] == "none"
    )
    names["box"] = hostile["container"]["id"]
    return {name: path.format(**names) for name, path in PAGES.items()}


def _open_all(page):
    page.evaluate("document.querySelectorAll('details:not(.menu)').forEach((each) => { each.open = true })")


def _serious(page):
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(open_page, paths, name, theme):
    """X4: no serious finding of axe-core, every panel open; the system's theme is followed."""
    page = open_page(paths[name], color_scheme=theme)
    page.wait_for_selector("#live[data-live=on]")
    _open_all(page)
    assert _serious(page) == []


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_its_width(open_page, paths, name, width):
    """X4: no page scrolls sideways, at a desk, on a phone or magnified four times, whatever is in it."""
    page = open_page(paths[name], viewport={"width": width, "height": 844})
    _open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_sign_in_page_is_accessible(open_page, theme):
    """X4, for those who have no session yet."""
    page = open_page("/login", user=None, color_scheme=theme)
    assert _serious(page) == []


def test_switch_of_colours_is_remembered(open_page):
    """X4: the switch goes from the system's theme to dark, to light, and back, and outlives the page."""
    page = open_page(color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.click("#look")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.click("#look")
    assert page.evaluate(ground) == light


def test_times_can_be_local(open_page):
    """X4: UTC or local time, by a switch that is remembered."""
    page = open_page("/sessions", timezone_id="Asia/Kolkata")
    utc = page.locator("td time").first.inner_text()
    page.click("#clock")
    assert page.locator("td time").first.inner_text() != utc
    page.reload()
    assert page.inner_text("#clock-text") == "local"


def test_empty_controller_says_what_to_do(open_page, tmp_path):
    """X6: with nothing in it, every page says what belongs there and how to get it."""
    with dashboard(tmp_path) as fresh:
        page = open_page("/alerts", at=fresh)
        assert page.inner_text(".empty h2") == "No open alerts"
        for path, words in (
            ("/sessions", "Nobody has entered"),
            ("/entries", "Nobody has entered"),
            ("/containers", "No sensor has seen"),
            ("/hosts", "nsentry-controller token create"),
        ):
            page.goto(path)
            assert words in page.inner_text(".empty")
            assert _serious(page) == []
        page.context.close()
