# SPDX-License-Identifier: Apache-2.0
"""Every entry and attempt, whether a detection fired on it or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from controller.store import entries
from controller.web import render
from controller.web.pages import Page, older_than, only_probes, with_probes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.views import EntryView

FILTERS = ("host", "container", "image", "means", "kind", "session", "principal")


def entries_page(request: Request) -> Response:
    """The entries, newest first."""
    page, probes = _list(request)
    chosen = [(name, request.query_params[name]) for name in FILTERS if request.query_params.get(name)]
    context = {"page": page, "chosen": chosen, "probes": probes, "show_probes": only_probes(request)}
    return render.page(request, "entries.html", context)


def entries_json(request: Request) -> Response:
    """The same for programs."""
    page, probes = _list(request)
    return render.json_response({"entries": page.rows, "next": page.next_url, "probes_left_out": probes})


def entry_json(request: Request) -> Response:
    """One entry for programs; its page is that of its session."""
    with request.app.state.store.read() as connection:
        entry = entries.show(connection, request.path_params["entry"])
    if entry is None:
        raise HTTPException(404, "There is no entry of this id.")
    return render.json_response(entry)


def _list(request: Request) -> tuple[Page[EntryView], int]:
    """The page, and how many probes it leaves out."""
    narrowed = with_probes(request.query_params, FILTERS)
    wanted = entries.EntryFilter(**narrowed)
    with request.app.state.store.read() as connection:
        rows = entries.list_(connection, wanted, Page.SIZE + 1, older_than(request))
        hidden = not narrowed["probes"] and "means" not in narrowed
        probes = entries.probes(connection, wanted) if hidden else 0
    return Page.of(request, rows, lambda row: (row["time_ns"], row["id"])), probes
