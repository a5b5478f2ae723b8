# SPDX-License-Identifier: Apache-2.0
"""Refusals and failures, saying what to do next: as a page, or as JSON if that was asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from controller.store.engine import StoreError
from controller.web import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)

_TITLES = {
    400: "That address makes no sense",
    401: "Sign in with a link",
    403: "Refused",
    404: "Nothing here",
    405: "Not done that way",
    413: "Too large",
    500: "The controller failed",
    503: "Not now",
}


def refusal(request: Request, status: int, text: str) -> Response:
    """The answer with `status` that tells a person, or a program, why."""
    if wants_json(request):
        return render.json_response({"error": text}, status)
    context = {"status": status, "title": _TITLES.get(status, "It did not work"), "text": text}
    name = "signin.html" if status == 401 else "error.html"
    return render.page(request, name, context, status)


def wants_json(request: Request) -> bool:
    """The twin of a page was asked for."""
    return request.url.path.endswith(".json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is registered for
    return refusal(request, error.status_code, error.detail)


def _not_stored(request: Request, error: Exception) -> Response:
    log.error("a change from the dashboard was not stored", exc_info=error)
    return refusal(request, 503, "The database did not take the change: nothing was stored. Try again.")


def failed(request: Request, _error: Exception) -> Response:
    """The last resort; the exception itself goes to the server's log."""
    return refusal(request, 500, "This is a defect of nsentry. The controller's log has the details.")


HANDLERS = {HTTPException: _refused, StoreError: _not_stored}
