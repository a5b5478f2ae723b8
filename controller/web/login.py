# SPDX-License-Identifier: Apache-2.0
"""Signing in by a one-time link, which `nsentry-controller login-link` prints, and signing out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from controller.store import logins
from controller.web import gate
from controller.web.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response


def login(request: Request) -> Response:
    """Redeems the link and opens a session, both or neither; a link that is used or too old is told as such.

    The cookie is SameSite=Lax, not Strict: the link, and later the address of an alert, are opened from
    terminals, chats and tickets, and a Strict cookie would not come along from there. Changes are guarded by
    the Origin and a token besides.
    """
    link = request.query_params.get("link", "")
    if not link:
        return refusal(request, 401, "This page needs a login link.")
    if request.method != "GET" or "prefetch" in request.headers.get("sec-purpose", ""):
        # A browser that looks ahead, or a chat that makes a preview, must not use up the link.
        raise HTTPException(405, "A login link is opened, not looked at.")
    now = time.time_ns()

    def redeem(connection: Connection) -> str | None:
        user = logins.redeem_link(connection, link, now)
        return None if user is None else logins.open_session(connection, user, now, gate.SESSION_S)

    secret = request.app.state.store.write(redeem)
    if secret is None:
        return refusal(request, 401, "This login link was used before, has expired, or never was one.")
    response = RedirectResponse("/alerts", 303)
    response.set_cookie(
        gate.COOKIE, secret, max_age=gate.SESSION_S, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


def logout(request: Request, _fields: Mapping[str, str]) -> Response:
    """Ends the session here and now, not only in this browser."""
    secret = request.cookies[gate.COOKIE]
    request.app.state.store.write(lambda connection: logins.close_session(connection, secret))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(gate.COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response
