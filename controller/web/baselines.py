# SPDX-License-Identifier: Apache-2.0
"""What is normal for an image or a workload: what waits for a word, and the word."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from controller.detect import approving
from controller.store import baselines
from controller.web import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.detect.baseline import State

SHOWN = 500


def baselines_page(request: Request) -> Response:
    """The baselines, those with the most that waits first."""
    return render.page(request, "baselines.html", {"rows": _list(request), "shown": SHOWN})


def baselines_json(request: Request) -> Response:
    """The same for programs."""
    return render.json_response({"baselines": _list(request)})


def baseline_page(request: Request) -> Response:
    """One of them, trait by trait."""
    return render.page(request, "baseline.html", _show(request))


def baseline_json(request: Request) -> Response:
    """The same for programs."""
    found = _show(request)
    return render.json_response({**found["row"], "traits": found["traits"]})


def decide(request: Request, fields: Mapping[str, str]) -> Response:
    """Accepts or rejects one trait, or accepts all that wait."""
    subject, by = request.path_params["subject"], (request.state.user, time.time_ns())
    status = "rejected" if fields.get("word") == "reject" else "known"
    key = fields.get("key")
    if key is None and status == "rejected":
        raise HTTPException(400, "Not changed: the form names no trait.")
    keys = None if key is None else [key]
    return _change(request, subject, lambda c: baselines.decide(c, subject, keys, status, by) >= 0)


def state(request: Request, fields: Mapping[str, str]) -> Response:
    """Freezes it, ends its learning or its frost, or lets it learn for a day."""
    subject, by = request.path_params["subject"], (request.state.user, time.time_ns())
    wanted: dict[str, State] = {"freeze": "frozen", "ready": "ready", "learn": "learning"}
    if fields.get("state") not in wanted:
        raise HTTPException(400, "The form names no state that a baseline can have.")
    to = wanted[fields["state"]]
    return _change(request, subject, lambda c: baselines.set_state(c, subject, to, by))


def approve(request: Request, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - a form's handler has both
    """Makes a visit part of what is normal for visits."""
    session, by = request.path_params["session"], (request.state.user, time.time_ns())
    try:
        approved = request.app.state.store.write(lambda c: approving.approve(c, session, by))
    except ValueError as error:
        raise HTTPException(409, f"Not changed: {error}.") from error
    if approved is None:
        raise HTTPException(404, "There is no such visit to a container of a known image or workload.")
    return RedirectResponse(_at(approved[0][0]), 303)


def _list(request: Request) -> list[baselines.BaselineView]:
    with request.app.state.store.read() as connection:
        return baselines.list_(connection, time.time_ns(), SHOWN)


def _show(request: Request) -> dict[str, Any]:
    subject = request.path_params["subject"]
    with request.app.state.store.read() as connection:
        row = baselines.show(connection, subject, time.time_ns())
        traits = baselines.traits_of(connection, subject)
    if row is None:
        raise HTTPException(404, "There is no baseline of this image or workload.")
    return {"row": row, "traits": traits, "at": _at(subject)}


def _at(subject: str) -> str:
    return f"/baselines/{quote(subject)}"


def _change(request: Request, subject: str, work: Callable[[Connection], bool]) -> Response:
    try:
        done = request.app.state.store.write(work)
    except baselines.FrozenError as error:
        raise HTTPException(409, f"Not changed: {error}.") from error
    if not done:
        raise HTTPException(404, "There is no baseline of this image or workload.")
    return RedirectResponse(_at(subject), 303)
