# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, in a browser."""

from __future__ import annotations

import pytest

from controller.web.gate import COOKIE

pytestmark = pytest.mark.browser


def test_link_opens_the_dashboard_once(open_page, served):
    """A login link opens the list of alerts; opened again, it says so and how to get another."""
    link = served.login_link("grace")
    first = open_page(link, user=None)
    assert first.url == f"{served.url}/alerts"
    assert first.locator(".me").inner_text() == "grace"
    again = open_page(link, user=None)
    assert "used before" in again.inner_text("main")
    assert "nsentry-controller login-link" in again.inner_text("main")


def test_cookie_cannot_be_read_nor_travel_in_the_clear(open_page, served):
    """The session's cookie is Secure, HttpOnly, for this host alone, and stays home on others' requests."""
    page = open_page(served.login_link(), user=None)
    (cookie,) = page.context.cookies()
    assert cookie["name"] == COOKIE
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"].startswith(".")) == ("/", False)
    assert page.evaluate("document.cookie") == ""


def test_signing_out_ends_the_session_everywhere(open_page, served):
    """After "Sign out" the cookie is worth nothing, even to somebody who kept it."""
    page = open_page(user="leaving")
    kept = page.context.cookies()[0]["value"]
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    assert served.get("/alerts.json", kept).status_code == 401


def test_open_page_notices_that_its_session_ended(open_page, served):
    """The stream ends with the session, and the page says that it no longer follows."""
    page = open_page(user="cut-off")
    page.wait_for_selector("#live[data-live=on]")
    cookie = page.context.cookies()[0]["value"]
    token = page.get_attribute(".who input[name=csrf]", "value")
    answer = served.ask("POST", "/logout", cookie, data={"csrf": token}, headers={"origin": served.url})
    assert answer.status_code == 303
    page.wait_for_selector("#live[data-live=off]")
    assert page.inner_text("#live-text") == "signed out"
