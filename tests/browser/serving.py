# SPDX-License-Identifier: Apache-2.0
"""A real controller with a dashboard to look at: the installed program, its own state folder, port and CA."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from controller.web.gate import COOKIE
from tests.browser.seed import Fleet, fill
from tests.browser.visits import ago
from tests.controller.serving import Served, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.seed import Host

ALERTED = 15
"""Containers of the seeded fleet that have an open alert."""


@dataclass
class Dashboard(Served):
    """A controller, as browsers and their users have it."""

    hosts: dict[str, Host] = field(default_factory=dict)
    """The fleet's hosts by name; they can send more."""
    sessions: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, cookie: str = "", **more: Any) -> requests.Response:
        """What a program gets that sends this session's cookie."""
        return self.ask("GET", path, cookie, **more)

    def ask(self, method: str, path: str, cookie: str = "", **more: Any) -> requests.Response:
        """As `get`, by any method. Redirects are not followed."""
        with self.session() as http:
            if cookie:
                http.headers["cookie"] = f"{COOKIE}={cookie}"
            return http.request(method, self.url + path, timeout=20, allow_redirects=False, **more)

    def login_link(self, user: str = "ada") -> str:
        """A new one-time link."""
        return self.command("login-link", "--user", user).strip()

    def sign_in(self, user: str = "ada") -> str:
        """A new session: the value of its cookie."""
        answer = self.get(self.login_link(user).removeprefix(self.url))
        assert answer.status_code == 303, answer.text
        return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]

    def session_of(self, user: str) -> str:
        """A session of this user, opened at the first call."""
        if user not in self.sessions:
            self.sessions[user] = self.sign_in(user)
        return self.sessions[user]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """The open alerts, by the name of their container: that of a visit before one that is about it alone."""
        rows = sorted(self.read("alerts", "list", "--limit", "500"), key=lambda row: row["means"] != "none")
        return {str(row["container"]["name"]): row for row in rows}

    def fill(self) -> None:
        """Enrols the fleet of `seed` and waits until the detect worker has dealt with all that it sent."""
        token = self.command("token", "create", "--uses", "50").strip()
        self.hosts = fill(Fleet(self.url, str(self.state / "ca.pem"), token))
        wait_for(lambda: len(self.alerts()) >= ALERTED)
        self._silence(self.hosts.pop("silent-9"))

    def _silence(self, host: Host) -> None:
        """Makes the host one that was last heard of long ago, which only the controller's clock decides."""
        with closing(sqlite3.connect(self.state / "nsentry.db", timeout=10)) as database, database:
            database.execute("UPDATE hosts SET last_seen = ? WHERE id = ?", (ago(hours=7), host.id))


@contextmanager
def dashboard(state: Path) -> Iterator[Dashboard]:
    """Serves from `state` until it is left."""
    served = Dashboard(state)
    served.command("init", "--listen", "127.0.0.1:0")
    served.start()
    try:
        yield served
    finally:
        served.stop()
