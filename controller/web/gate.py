# SPDX-License-Identifier: Apache-2.0
"""Who may see the dashboard: a session, opened by a one-time link, in a cookie. Everything else is refused.

The gate stands before the routes, so that a page which somebody adds later is behind it without being told,
and an outsider cannot tell a page that exists from one that does not. Open are only the page that redeems a
link and the static files (style, scripts, fonts), which are those of the public source.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from controller.store import alerts, logins
from controller.web.errors import refusal

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from controller.store.engine import Store

COOKIE: Final = "__Host-nsentry"
"""The prefix makes browsers insist on Secure, on Path=/ and on this very host having set it."""
SESSION_S: Final = 12 * 3600
OPEN_PATHS: Final = ("/login", "/static/")


class SessionRequired:
    """Answers 401 unless the request carries a session; 403 to a change that another site caused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        request = Request(scope)
        answer = await run_in_threadpool(_admit, request)
        await (answer or self.app)(scope, receive, send)


def _admit(request: Request) -> Response | None:
    """None if the request may pass; else what it gets instead."""
    path = request.url.path
    if path == OPEN_PATHS[0] or path.startswith(OPEN_PATHS[1]):
        return None
    secret = request.cookies.get(COOKIE, "")
    user = whose(request.app.state.store, secret)
    if user is None:
        return refusal(request, 401, "You are not signed in, or your session has ended.")
    if request.method not in {"GET", "HEAD"} and not _same_origin(request):
        return refusal(request, 403, "This change did not come from a page of this dashboard.")
    request.state.user = user
    with request.app.state.store.read() as connection:
        # Before the page reads anything: what happens from here on, its stream will tell.
        request.state.change = alerts.last_change(connection)
    request.state.csrf = csrf_token(secret)
    return None


def whose(store: Store, secret: str) -> str | None:
    """The user of a session that is still open."""
    if not secret:
        return None
    with store.read() as connection:
        return logins.session_user(connection, secret, time.time_ns())


def csrf_token(secret: str) -> str:
    """What a form must carry: only a page that the session itself was served can know it."""
    return hmac.new(secret.encode(), b"nsentry csrf", hashlib.sha256).hexdigest()


def _same_origin(request: Request) -> bool:
    """Browsers send Origin with every POST; where a proxy took it away, Sec-Fetch-Site says the same."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site") == "same-origin"
    return origin == f"{request.url.scheme}://{request.url.netloc}"
