# SPDX-License-Identifier: Apache-2.0
"""Where we are blind: records without an entry, and how well each record source is heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from controller.store import coverage
from controller.web import render
from controller.web.pages import Page, older_than

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.coverage import UnseenView

FILTERS = ("host", "container", "cause", "status")
GONE_NS: Final = 3600 * 10**9
"""Sources that are away for longer stand apart: a builder's daemons come and go by the hundred."""


def coverage_page(request: Request) -> Response:
    """Hosts with their counts, sources, and the records without an entry, newest first."""
    chosen = [(name, request.query_params[name]) for name in FILTERS if request.query_params.get(name)]
    with request.app.state.store.read() as connection:
        counts = coverage.counts(connection)
        sources = coverage.sources(connection, request.query_params.get("host"))
    since = time.time_ns() - GONE_NS
    gone = [each for each in sources if each["away_ns"] is not None and each["away_ns"] < since]
    here = [each for each in sources if each not in gone]
    context = {"page": _list(request), "chosen": chosen, "counts": counts, "sources": here, "gone": gone}
    return render.page(request, "coverage.html", context)


def coverage_json(request: Request) -> Response:
    """The same for programs."""
    page = _list(request)
    with request.app.state.store.read() as connection:
        counts = coverage.counts(connection)
        sources = coverage.sources(connection, request.query_params.get("host"))
    shown = {"records": page.rows, "next": page.next_url, "hosts": counts, "sources": sources}
    return render.json_response(shown)


def _list(request: Request) -> Page[UnseenView]:
    asked: dict[str, Any] = {name: request.query_params.get(name) or None for name in FILTERS}
    with request.app.state.store.read() as connection:
        rows = coverage.list_(connection, coverage.UnseenFilter(**asked), Page.SIZE + 1, older_than(request))
    return Page.of(request, rows, lambda row: (row["time_ns"], row["record"]))
