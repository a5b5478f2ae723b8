# SPDX-License-Identifier: Apache-2.0
"""Where alerts and events are told, how far each destination is behind, and what it did not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from controller.export.exporter import status
from controller.store import exports
from controller.web import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

SHOWN = 100
"""Dead letters on a page, the latest."""


def exports_page(request: Request) -> Response:
    """All destinations."""
    return render.page(request, "exports.html", {"rows": _all(request)})


def exports_json(request: Request) -> Response:
    """The same for programs."""
    return render.json_response({"exports": _all(request)})


def export_page(request: Request) -> Response:
    """One destination, and its dead letters."""
    row = _one(request, SHOWN)
    return render.page(request, "export.html", {"row": row, "shown": SHOWN})


def export_json(request: Request) -> Response:
    """The same for programs."""
    return render.json_response(_one(request, exports.MAX_LETTERS))


def _all(request: Request) -> list[dict[str, Any]]:
    with request.app.state.store.read() as connection:
        return status(connection, request.app.state.settings.exports)


def _one(request: Request, limit: int) -> dict[str, Any]:
    name = request.path_params["export"]
    found = [each for each in request.app.state.settings.exports if each.name == name]
    if not found:
        raise HTTPException(404, "There is no export of this name in controller.toml.")
    with request.app.state.store.read() as connection:
        (row,) = status(connection, found)
        return {**row, "dead_letters": exports.letters(connection, name, limit)}
