# SPDX-License-Identifier: Apache-2.0
"""One alert: who, what, where and how, with the evidence, and beside it the list that it was chosen from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from controller.policy.likeness import like
from controller.store import alerts, configurations
from controller.store.views import CLOSED_STATES
from controller.web import detections, filters, render, timeline, tree

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.configurations import ConfigurationView
    from controller.store.views import AlertView, EntryView


def alert_page(request: Request) -> Response:
    """The alert. The filters of the list that it was opened from stay in the address."""
    now = time.time_ns()
    query = filters.parse(request.query_params)
    alert = load(request)
    with request.app.state.store.read() as connection:
        configured = _configured(connection, alert)
        queue = alerts.list_(connection, query.filter(now), filters.PAGE, query.offset, query.order)
    return render.page(
        request, "alert.html", {**context(alert), "configured": configured, "query": query, "queue": queue}
    )


def alert_json(request: Request) -> Response:
    """The same for programs: the alert with findings, history, and the visit with all its events."""
    return render.json_response(load(request))


def load(request: Request) -> AlertView:
    """The alert that the address names; 404 if there is none."""
    with request.app.state.store.read() as connection:
        alert = alerts.show(connection, request.path_params["alert"])
    if alert is None:
        raise HTTPException(404, "There is no alert of this id.")
    return alert


def _configured(connection: Connection, alert: AlertView) -> list[ConfigurationView]:
    """How the container is configured, where the alert is about that and no visit."""
    container = alert["container"]["id"]
    if alert["visit"] is not None or container is None:
        return []
    return configurations.list_(connection, alert["host_id"], container)


def context(alert: AlertView) -> dict[str, Any]:
    """What the template shows of an alert."""
    visit = alert["visit"]
    executions = visit["executions"] if visit else []
    entry = visit["opened_by"] if visit else None
    return {
        "alert": alert,
        "visit": visit,
        "entry": entry,
        "process": visit["process"] if visit else None,
        "tree": tree.build(entry, executions, alert["findings"]),
        "steps": timeline.steps(executions, alert["findings"]),
        "detections": [detections.named(name) for name in alert["detections"]],
        "closed_states": CLOSED_STATES,
        "excepts": _excepts(alert, entry),
    }


def _excepts(alert: AlertView, entry: EntryView | None) -> dict[str, str]:
    """By detection: the form of an exception, filled in with what is like this alert."""
    principal = entry["principal"] if entry else None
    made = like(
        {
            "container.image": alert["container"]["image"],
            "container.name": alert["container"]["name"],
            "means": alert["means"] if alert["means"] != "none" else None,
            "principal": principal["name"] if principal else None,
        }
    )
    if not made:
        return {}
    return {name: urlencode({"expression": made, "detection": name}) for name in alert["detections"]}
