# SPDX-License-Identifier: Apache-2.0
"""The list of alerts: the page, its JSON twin, and the parts of it that follow the change feed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from controller.store import alert_times, alerts, saved_views
from controller.store.views import CLOSED_STATES, SEVERITIES, rfc3339
from controller.web import bulk, filters, histogram, render

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.views import Facet

RAIL = (
    "severity",
    "state",
    "detection",
    "host",
    "container",
    "image",
    "means",
    "user",
    "principal",
    "assignee",
)
"""The facets in the order in which they stand beside the list."""
_COUNTED_NEW = 200
"""New alerts are counted up to here; "200+" says more than anybody needs."""


def alerts_page(request: Request) -> Response:
    """The list, by default all that is open, the gravest first."""
    now = time.time_ns()
    query = filters.parse(request.query_params)
    with request.app.state.store.read() as connection:
        rows = alerts.list_(connection, query.filter(now), filters.PAGE, query.offset, query.order)
        context = {"rows": rows, "new": 0, "since": now, **_counts(connection, query, now)}
        stretches = alert_times.over_time(connection, query.filter(now), now)
        context["views"] = saved_views.all_(connection)
    context["here"] = query.url(page=1).partition("?")[2]
    context["histogram"] = histogram.draw(stretches, query)
    context["stretch"] = [rfc3339(end) for end in query.stretch or ()]
    context["told"] = bulk.told(request.query_params)
    return render.page(request, "alerts.html", context)


def alerts_json(request: Request) -> Response:
    """The same list and facets for programs."""
    now = time.time_ns()
    query = filters.parse(request.query_params)
    with request.app.state.store.read() as connection:
        counts = _counts(connection, query, now)
        rows = alerts.list_(connection, query.filter(now), filters.PAGE, query.offset, query.order)
        stretches = alert_times.over_time(connection, query.filter(now), now)
    facets = dict(counts["rail"])
    return render.json_response(
        {"alerts": rows, "total": counts["total"], "facets": facets, "over_time": stretches}
    )


def alerts_counts(request: Request) -> Response:
    """The facets with their counts as they are now, and how many alerts came since the page was made.

    The list itself stays as it is: rows must not move under somebody's cursor (Q9).
    """
    now = time.time_ns()
    query = filters.parse(request.query_params)
    since = _number(request.query_params.get("after", ""))
    with request.app.state.store.read() as connection:
        latest = alerts.list_(connection, query.filter(now), _COUNTED_NEW, order="newest")
        counts = _counts(connection, query, now)
    new = sum(row["raised_ns"] > since for row in latest)
    return render.fragment(request, "alerts_counts.html", {"new": new, "since": since, **counts})


def alert_row(request: Request) -> Response:
    """One row of the list as it is now, to be put in the place of the one that is shown."""
    query = filters.parse(request.query_params)
    with request.app.state.store.read() as connection:
        row = alerts.show(connection, request.path_params["alert"], max_events=0)
    if row is None:
        raise HTTPException(404, "There is no alert of this id.")
    return render.fragment(request, "alert_row.html", {"alert": row, "query": query})


def _counts(connection: Connection, query: filters.Query, now: int) -> dict[str, Any]:
    facets = alerts.facets(connection, query.filter(now))
    return {
        "query": query,
        "ranges": filters.RANGES,
        "closed_states": CLOSED_STATES,
        "total": alerts.count(connection, query.filter(now)),
        "rail": [(name, _ordered(name, facets.get(name, []))) for name in RAIL],
    }


def _ordered(name: str, values: list[Facet]) -> list[Facet]:
    """Severities stand by gravity; everything else by how common it is, as the store gives it."""
    if name != "severity":
        return values
    rank = {label: level for level, label in SEVERITIES.items()}
    return sorted(values, key=lambda each: -rank.get(each["value"] or "", 0))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
