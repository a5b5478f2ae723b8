# SPDX-License-Identifier: Apache-2.0
"""A real Chromium against a real controller. Every page that a test opens is watched for what must not be."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import sync_playwright

from controller.web.gate import COOKIE
from tests.browser.serving import dashboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.browser.seed import Host
    from tests.browser.serving import Dashboard

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Dashboard]:
    """A controller with the seeded fleet. Tests that change something use what is theirs."""
    with dashboard(tmp_path_factory.mktemp("controller")) as running:
        running.fill()
        yield running


@pytest.fixture(scope="session")
def hosts(served) -> dict[str, Host]:
    """The fleet's hosts: they can send more."""
    return served.hosts


@pytest.fixture(scope="session")
def playwright():
    """Playwright, which runs an event loop of its own."""
    if CHROMIUM is None:
        reason = "there is no Chromium: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright) -> Callable[[Dashboard], Browser]:
    """Starts a Chromium that takes this controller's certificate, and no other that it does not know."""
    started: dict[str, Browser] = {}

    def start(served: Dashboard) -> Browser:
        if served.url not in started:
            trust = f"--ignore-certificate-errors-spki-list={_key_digest(served.url)}"
            arguments = [*ARGUMENTS, trust]
            started[served.url] = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        return started[served.url]

    yield start
    for each in started.values():
        each.close()


def _key_digest(url: str) -> str:
    """The digest of the server's public key, as Chromium's switch wants it."""
    parts = urlsplit(url)
    pem = ssl.get_server_certificate((parts.hostname, parts.port))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


COOKIE_OF_OURS = {"name": COOKIE, "secure": True, "httpOnly": True, "sameSite": "Lax"}


class Watch:
    """What a page did that it must not do: violate the policy, fail in a script, open a dialog."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def follow(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"{page.url}: {error}"))
        page.on("dialog", self._dialog)
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', "
            "(event) => console.error('violation of ' + event.violatedDirective + ': ' + event.blockedURI))"
        )

    def _console(self, message) -> None:
        told = "Failed to load resource: the server responded with a status of 40"
        if message.type in {"error", "warning"} and not message.text.startswith(told):
            self.seen.append(message.text)

    def _dialog(self, dialog) -> None:
        self.seen.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def open_page(browser, served) -> Iterator[Callable[..., Page]]:
    """Opens a page as somebody who signed in; at the end no page may have done what it must not."""
    contexts: list[BrowserContext] = []
    watch = Watch()

    def open_(
        path: str = "/alerts", user: str | None = "ada", at: Dashboard | None = None, **options
    ) -> Page:
        where = at or served
        size = {"width": 1280, "height": 860}
        context = browser(where).new_context(base_url=where.url, **{"viewport": size, **options})
        contexts.append(context)
        page = context.new_page()
        watch.follow(page)
        if user is not None:
            context.add_cookies([{**COOKIE_OF_OURS, "value": where.session_of(user), "url": where.url}])
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert watch.seen == []
