# SPDX-License-Identifier: Apache-2.0
"""The containers, and of each who came in and what it does of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException

from controller.store import activities, alerts, configurations, containers
from controller.store.views import OPEN_STATES
from controller.web import render
from controller.web.pages import Page, older_than

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.fleet_views import ActivityView, ContainerView

FILTERS: Final = ("host", "name", "image")
WHAT: Final = ("exec", "connect")


def containers_page(request: Request) -> Response:
    """The containers, the latest seen first."""
    rows, next_url = _list(request)
    params = request.query_params
    chosen = [(name, params[name]) for name in FILTERS if params.get(name)]
    context = {"page": Page(rows, next_url), "chosen": chosen, "running": "running" in params}
    return render.page(request, "containers.html", context)


def containers_json(request: Request) -> Response:
    """The same for programs."""
    rows, next_url = _list(request)
    return render.json_response({"containers": rows, "next": next_url})


def container_page(request: Request) -> Response:
    """One container: what it is, its visits, and what it does of itself, what is new of it first."""
    with request.app.state.store.read() as connection:
        container = _load(connection, request)
        page = _activity(connection, request, container)
        configured = configurations.list_(connection, container["host_id"], container["id"])
        mine = alerts.AlertFilter(
            {"state": OPEN_STATES, "host": (container["host_id"],), **_named(container)}
        )
        open_alerts = alerts.count(connection, mine)
    what = _what(request)
    return render.page(
        request,
        "container.html",
        {
            "container": container,
            "configured": configured,
            "page": page,
            "what": what,
            "container_alerts": open_alerts,
        },
    )


def container_json(request: Request) -> Response:
    """The same for programs."""
    with request.app.state.store.read() as connection:
        container = _load(connection, request)
        page = _activity(connection, request, container)
        configured = configurations.list_(connection, container["host_id"], container["id"])
    told = {"configuration": configured, "activity": page.rows, "next": page.next_url}
    return render.json_response({**container, **told})


def _list(request: Request) -> tuple[list[ContainerView], str | None]:
    params = request.query_params
    number = params.get("page", "1")
    at = int(number) if re.fullmatch(r"[1-9]\d{0,4}", number, re.ASCII) else 1
    narrowed: dict[str, Any] = {name: params[name] for name in FILTERS if params.get(name)}
    wanted = containers.ContainerFilter(running_only="running" in params, **narrowed)
    with request.app.state.store.read() as connection:
        rows = containers.list_(connection, wanted, Page.SIZE + 1, (at - 1) * Page.SIZE)
    if len(rows) <= Page.SIZE:
        return rows, None
    url = request.url.include_query_params(page=at + 1)
    return rows[: Page.SIZE], f"{url.path}?{url.query}"


def _load(connection: Connection, request: Request) -> ContainerView:
    names = request.path_params
    found = containers.show(connection, names["container"], names["host"])
    if found is None:
        raise HTTPException(404, "No sensor of this host has seen a container of this id or name.")
    return found


def _activity(connection: Connection, request: Request, container: ContainerView) -> Page[ActivityView]:
    rows = activities.list_(
        connection,
        container["host_id"],
        container["id"],
        _what(request),
        Page.SIZE + 1,
        older_than(request),
    )
    return Page.of(request, rows, lambda row: (row["first_ns"], row["key"]))


def _what(request: Request) -> str | None:
    what = request.query_params.get("what")
    return what if what in WHAT else None


def _named(container: ContainerView) -> dict[str, tuple[str, ...]]:
    """As the facet of alerts names it."""
    return {"container": (container["name"] or container["id"],)}
