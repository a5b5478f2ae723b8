# SPDX-License-Identifier: Apache-2.0
"""Container pages, health checks and the sensor's own life, as people find and read them."""

from __future__ import annotations

import pytest

from tests.browser.seed import DATABASE, HOSTILE
from tests.browser.visits import ago
from tests.controller.serving import wait_for

pytestmark = pytest.mark.browser


def _json(served, page, path):
    return served.get(path, page.context.cookies()[0]["value"]).json()


def test_a_container_is_reached_and_its_activities_are_walked_by_keyboard(open_page):
    """Q8, F1: g c goes to the list, j and Enter into one, j through what it does of itself."""
    page = open_page("/alerts")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_selector("h1 >> text=Containers")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("article#container")
    assert page.inner_text("h1") == "web"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert "28412" in page.evaluate("document.activeElement.innerText")


def test_a_container_shows_what_it_does_and_what_was_lost_of_it(open_page, served):
    page = open_page("/containers/edge-1/web")
    assert page.locator("#container tbody tr").count() == 3
    assert "[2001:db8::7]:5432" in page.inner_text("#container tbody")
    assert "41 of its events were lost" in page.inner_text(".why")
    page.click("nav.tabs >> text=Connects")
    assert page.locator("#container tbody tr").count() == 1
    told = _json(served, page, "/containers/edge-1/web.json?what=exec")
    assert [each["count"] for each in told["activity"]] == [28_412, 1]


def test_what_a_container_chose_is_shown_as_text_on_its_page(open_page, served):
    """X5, X2: the whole command line is there, folded, with its control characters visible."""
    hostile = next(row for name, row in served.alerts().items() if name.startswith("x<script>"))
    path = f"/containers/lab-3/{hostile['container']['id']}"
    page = open_page(path)
    page.click("#container details.long summary")
    shown = page.inner_text("#container details.long .whole")
    assert HOSTILE[0] in shown.replace("\n", "").replace("'\"'\"'", "'")
    assert "\\x1b" in shown
    assert _json(served, page, f"{path}.json?what=exec")["activity"][-1]["argv"] == HOSTILE


@pytest.mark.parametrize("listing", ["sessions", "entries"])
def test_health_checks_are_left_out_counted_and_one_click_away(open_page, served, listing):
    page = open_page(f"/{listing}")
    assert page.locator("tbody .tag >> text=probe").count() == 0
    assert "not shown: 2." in page.inner_text(".probes-note")
    page.click(".probes-note a")
    assert page.url.endswith("means=probe")
    assert page.locator("tbody tr").count() == page.locator("tbody td .tag >> text=probe").count() == 2
    assert len(_json(served, page, f"/{listing}.json?means=probe")[listing]) == 2
    alone = _json(served, page, f"/{listing}.json")
    whole = _json(served, page, f"/{listing}.json?means=all")
    assert len(whole[listing]) == len(alone[listing]) + 2
    assert (alone["probes_left_out"], whole["probes_left_out"]) == (2, 0)


def test_a_host_shows_its_sensors_own_life_and_losses_by_container(open_page):
    page = open_page("/hosts/edge-1")
    notes = page.inner_text(".notes")
    assert "began to watch by the loader core" in notes
    assert "watches by other hooks than before" in notes
    page.click("#h-by ~ table a")
    page.wait_for_selector("article#container")


def test_who_acknowledges_what_was_closed_meanwhile_is_told(served, hosts):
    """A page that was open for long must not open an alert again that somebody closed."""
    name = {**DATABASE, "name": "closed-meanwhile"}
    hosts["db-1"].send(
        *hosts["db-1"].visit(name, ago(minutes=1)).nsenter(["-a"], "/bin/sh", ["sh"]).leave().events
    )
    wait_for(lambda: "closed-meanwhile" in served.alerts())
    alert = served.alerts()["closed-meanwhile"]["id"]
    served.command("alerts", "close", alert, "--as", "false_positive", "--reason", "a drill")
    cookie = served.session_of("ada")
    csrf = served.get(f"/alerts/{alert}", cookie).text.partition('name="csrf" value="')[2].partition('"')[0]

    def post(**fields):
        return served.ask(
            "POST",
            f"/alerts/{alert}/state",
            cookie,
            data={"csrf": csrf, **fields},
            headers={"origin": served.url},
        )

    refused = post(state="acknowledged")
    assert refused.status_code == 409
    assert "closed as false positive" in refused.text
    assert served.get(f"/alerts/{alert}.json", cookie).json()["state"] == "false_positive"
    assert post(state="investigating", reopen="yes").status_code == 303
    assert served.get(f"/alerts/{alert}.json", cookie).json()["state"] == "investigating"
    served.command("alerts", "close", alert, "--as", "false_positive", "--reason", "a drill")
