# SPDX-License-Identifier: Apache-2.0
"""Saving a way to look at the alerts under a name, and removing it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from controller.store import saved_views
from controller.web import filters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response


def save(request: Request, fields: Mapping[str, str]) -> Response:
    """Saves the filters of this address under the form's name."""
    query = filters.parse(request.query_params)
    address = query.url(page=1)
    author, now = request.state.user, time.time_ns()
    try:
        request.app.state.store.write(
            lambda connection: saved_views.save(
                connection, fields.get("name", ""), address.partition("?")[2], author, now
            )
        )
    except ValueError as error:
        raise HTTPException(400, f"Not saved: {error}.") from error
    return RedirectResponse(address, 303)


def remove(request: Request, fields: Mapping[str, str]) -> Response:
    """Removes the view that the form names."""
    name = fields.get("name", "")
    if not request.app.state.store.write(lambda connection: saved_views.remove(connection, name)):
        raise HTTPException(404, "There is no view of this name.")
    return RedirectResponse(filters.parse(request.query_params).url(), 303)
