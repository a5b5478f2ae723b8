# SPDX-License-Identifier: Apache-2.0
"""Exceptions and approvals by page: previewed, added, revoked, audited; refused without the form's token."""

from __future__ import annotations

import os

import pytest

from tests.browser.visits import SHELL, ago, container
from tests.controller.serving import wait_for

pytestmark = pytest.mark.browser


def test_an_exception_is_previewed_and_added_by_keyboard(open_page, served):
    """From the expression to the audit log without a mouse; a mistake is pointed at."""
    page = open_page("/exceptions")
    page.focus("[name=expression]")
    page.keyboard.type('hosst == "edge-1"')
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert "did you mean host?" in page.inner_text("[role=alert]")
    page.focus("[name=expression]")
    page.keyboard.press("Control+A")
    page.keyboard.type('host == "edge-1" and severity == "low"')
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]")
    assert "It would have hidden" in page.inner_text("[role=status]")
    page.focus("[name=name]")
    page.keyboard.type("edge-noise")
    page.focus("[name=reason]")
    page.keyboard.type("known since change 4711")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/exceptions/edge-noise")
    assert "known since change 4711" in page.inner_text("main")
    (kept,) = [row for row in served.read("exceptions", "list") if row["name"] == "edge-noise"]
    assert (kept["author"], kept["expression"]) == ("ada", 'host == "edge-1" and severity == "low"')
    page.goto("/audit")
    assert "exception.add" in page.inner_text("table")
    if folder := os.environ.get("NSENTRY_PICTURES"):
        page.screenshot(path=f"{folder}/audit.png", full_page=True)
        for name in ("/exceptions?expression=host+like+%22*%22", "/approvals", "/exceptions/edge-noise"):
            page.goto(name)
            page.screenshot(
                path=f"{folder}/{name.strip('/').partition('?')[0].replace('/', '-')}.png", full_page=True
            )


def test_an_approval_is_given_and_revoked(open_page, served):
    page = open_page("/approvals")
    page.fill("[name=principal]", "joe")
    page.fill("[name=container]", "web*")
    page.fill("[name=until]", "2h")
    page.fill("[name=change]", "INC-9")
    page.click("text=Approve >> nth=-1")
    page.wait_for_selector("table")
    (made,) = [row for row in served.read("approvals", "list") if row["principal"] == "joe"]
    page.goto(f"/approvals/{made['id']}")
    page.click("text=Revoke now")
    page.wait_for_selector("text=revoked")
    (made,) = [row for row in served.read("approvals", "list") if row["principal"] == "joe"]
    assert (made["state"], made["revoked_by"]) == ("revoked", "ada")


@pytest.mark.parametrize("path", ["/exceptions", "/approvals", "/exceptions/x/remove", "/approvals/1/revoke"])
def test_a_change_without_the_forms_token_is_refused(served, path):
    headers = {"origin": served.url}
    answer = served.ask("POST", path, served.session_of("ada"), data={"csrf": "guess"}, headers=headers)
    assert answer.status_code == 403


def test_what_waits_in_a_baseline_is_accepted_and_frozen_by_page(open_page, served):
    """From the list to a frozen baseline, and each step in the audit log."""
    page = open_page("/baselines")
    first = page.locator("td a.open").first
    subject = first.inner_text()
    first.click()
    page.wait_for_selector("h1")
    assert page.inner_text("h1") == subject
    page.click("text=Reject >> nth=0")
    page.wait_for_selector("text=rejected")
    page.click("text=Freeze")
    page.wait_for_selector("text=Thaw")
    (kept,) = [row for row in served.read("baseline", "list") if row["subject"] == subject]
    assert (kept["state"], kept["author"], kept["rejected"]) == ("frozen", "ada", 1)
    if folder := os.environ.get("NSENTRY_PICTURES"):
        page.screenshot(path=f"{folder}/baseline.png", full_page=True)
        page.goto("/baselines")
        page.screenshot(path=f"{folder}/baselines.png", full_page=True)
    page.goto("/audit")
    assert "baseline.frozen" in page.inner_text("table")


def test_an_exception_that_hides_what_was_marked_true_asks_first(open_page, served, hosts):
    """From an alert marked true, by its own proposal, to the exception: not before the box is ticked."""
    visit = hosts["edge-1"].visit(container("vault-1", "vault:1.17"), ago(minutes=1))
    hosts["edge-1"].send(*visit.exec(*SHELL, tty="pts/0").wait(1).leave().events)
    wait_for(lambda: served.read("alerts", "list", "--container", "vault-1"))
    (alert,) = served.read("alerts", "list", "--container", "vault-1")
    served.command("alerts", "close", alert["id"], "--as", "true_positive", "--reason", "it was mallory")
    page = open_page(f"/alerts/{alert['id']}")
    page.click("a >> text=except… >> nth=0")
    page.wait_for_selector("[role=status] >> text=Marked true among them: 1")
    assert 'container.image == "vault:1.17"' in page.input_value("[name=expression]")
    page.fill("[name=name]", "vault-is-quiet")
    page.fill("[name=reason]", "we know it")
    page.click("text=Add the exception")
    assert page.evaluate("document.querySelector('[name=despite]').validity.valueMissing")
    assert not [row for row in served.read("exceptions", "list") if row["name"] == "vault-is-quiet"]
    page.check("[name=despite]")
    page.click("text=Add the exception")
    page.wait_for_url("**/exceptions/vault-is-quiet")
    (kept,) = [row for row in served.read("audit", "list") if "vault-is-quiet" in str(row)]
    assert "true" in str(kept["detail"])
