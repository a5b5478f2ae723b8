# SPDX-License-Identifier: Apache-2.0
"""What a person does about an alert. Each change is kept with who made it and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, get_args

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from controller.store import alerts
from controller.store.views import AlertState
from controller.web import alerts as list_page
from controller.web import filters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response


def state(request: Request, fields: Mapping[str, str]) -> Response:
    """Acknowledges, investigates, closes with a reason, or opens again."""
    wanted = next((each for each in get_args(AlertState) if each == fields.get("state")), None)
    if wanted is None:
        raise HTTPException(400, "The form names no state that an alert can have.")
    reason = fields.get("reason", "").strip() or None
    return _change(
        request,
        lambda connection, alert, now: alerts.set_state(
            connection, alert, wanted, request.state.user, reason, now, reopen=fields.get("reopen") == "yes"
        ),
    )


def assign(request: Request, fields: Mapping[str, str]) -> Response:
    """Gives the alert to who is signed in, or back to nobody."""
    me = request.state.user
    assignee = None if fields.get("to") == "nobody" else me
    return _change(
        request, lambda connection, alert, now: alerts.assign(connection, alert, assignee, me, now)
    )


def comment(request: Request, fields: Mapping[str, str]) -> Response:
    """Adds a comment."""
    text = fields.get("text", "").replace("\r\n", "\n").strip()
    return _change(
        request,
        lambda connection, alert, now: alerts.comment(connection, alert, text, request.state.user, now),
    )


def _change(request: Request, work: Callable[[Connection, str, int], bool]) -> Response:
    """Makes the change and leads back to the page, or to the row that the list asked for."""
    alert = request.path_params["alert"]
    try:
        done = request.app.state.store.write(lambda connection: work(connection, alert, time.time_ns()))
    except alerts.ClosedError as error:
        advice = "look at why, and open it again if it is not over"
        raise HTTPException(409, f"Not changed: {error}; {advice}.") from error
    except ValueError as error:
        raise HTTPException(400, f"Not changed: {error}.") from error
    if not done:
        raise HTTPException(404, "There is no alert of this id.")
    if request.headers.get("hx-target", "").startswith("li#row-"):
        return list_page.alert_row(request)
    query = filters.parse(request.query_params)
    return RedirectResponse(query.url(f"/alerts/{alert}"), 303)
