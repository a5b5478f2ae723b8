# SPDX-License-Identifier: Apache-2.0
"""Every visit: who is inside now, who was, and all that happened there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from controller.store import sessions
from controller.web import render, timeline, tree
from controller.web.pages import Page, older_than, only_probes, with_probes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.views import SessionRow, SessionView

FILTERS = ("host", "container", "means", "principal")


def sessions_page(request: Request) -> Response:
    """The sessions, newest first."""
    page, probes = _list(request)
    params = request.query_params
    context = {
        "page": page,
        "chosen": [(name, params[name]) for name in FILTERS if params.get(name)],
        "open": "open" in params,
        "probes": probes,
        "show_probes": only_probes(request),
    }
    return render.page(request, "sessions.html", context)


def sessions_json(request: Request) -> Response:
    """The same for programs."""
    page, probes = _list(request)
    return render.json_response({"sessions": page.rows, "next": page.next_url, "probes_left_out": probes})


def session_page(request: Request) -> Response:
    """One session: tree, commands and events, with no alert needed."""
    visit = _load(request)
    context = {
        "visit": visit,
        "entry": visit["opened_by"],
        "process": visit["process"],
        "tree": tree.build(visit["opened_by"], visit["executions"]),
        "steps": timeline.steps(visit["executions"]),
    }
    return render.page(request, "session.html", context)


def session_json(request: Request) -> Response:
    """The same for programs."""
    return render.json_response(_load(request))


def _load(request: Request) -> SessionView:
    with request.app.state.store.read() as connection:
        visit = sessions.show(connection, request.path_params["session"])
    if visit is None:
        raise HTTPException(404, "There is no session of this id.")
    return visit


def _list(request: Request) -> tuple[Page[SessionRow], int]:
    """The page, and how many probes it leaves out."""
    narrowed = with_probes(request.query_params, FILTERS)
    wanted = sessions.SessionFilter(open_only="open" in request.query_params, **narrowed)
    with request.app.state.store.read() as connection:
        rows = sessions.list_(connection, wanted, Page.SIZE + 1, older_than(request))
        hidden = not narrowed["probes"] and "means" not in narrowed
        probes = sessions.probes(connection, wanted) if hidden else 0
    return Page.of(request, rows, lambda row: (row["began_ns"], row["id"])), probes
