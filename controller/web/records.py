# SPDX-License-Identifier: Apache-2.0
"""What container runtimes, and API servers, said happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.store import records
from controller.web import render
from controller.web.pages import Page, older_than

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.records import RecordView

FILTERS = ("host", "container", "source", "action", "exec_id", "pod", "user")


def records_page(request: Request) -> Response:
    """The records, newest first."""
    chosen = [(name, request.query_params[name]) for name in FILTERS if request.query_params.get(name)]
    return render.page(request, "records.html", {"page": _list(request), "chosen": chosen})


def records_json(request: Request) -> Response:
    """The same for programs."""
    page = _list(request)
    return render.json_response({"records": page.rows, "next": page.next_url})


def _list(request: Request) -> Page[RecordView]:
    asked: dict[str, Any] = {name: request.query_params.get(name) or None for name in FILTERS}
    wanted = records.RecordFilter(**asked)
    with request.app.state.store.read() as connection:
        rows = records.list_(connection, wanted, Page.SIZE + 1, older_than(request))
    return Page.of(request, rows, lambda row: (row["time_ns"], row["id"]))
