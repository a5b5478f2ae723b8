# SPDX-License-Identifier: Apache-2.0
"""The controller as an ASGI application: every address that it answers to, and what it needs meanwhile."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller import health
from controller.api import access
from controller.api.approvals import routes as api_routes
from controller.ingest import audit, endpoints
from controller.ingest.body import Admission
from controller.ingest.refusal import RefusedError
from controller.store import counters
from controller.store.engine import StoreError
from controller.web.routes import routes as web_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.datastructures import State
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from controller.bus import Bus
    from controller.settings import Settings
    from controller.store.engine import Store

log = logging.getLogger(__name__)

FLUSH_S: Final = 1.0
AUDITS_AT_ONCE: Final = (8, 4)
"""Batches of API servers that are worked on, in all and of one: each may be as long as four of sensors."""

# Each needs a credential: of a sensor, an enrolment token, the operator's, a program's, or a session of the dashboard.
ROUTES: Final[list[BaseRoute]] = [
    Route("/api/v1/enroll", endpoints.enrol, methods=["POST"]),
    Route("/api/v1/batches", endpoints.batches, methods=["POST"]),
    Route("/api/v1/heartbeat", endpoints.heartbeat, methods=["POST"]),
    Route(audit.ADDRESS, audit.webhook, methods=["POST"]),
    *api_routes,
    Route("/healthz", health.healthz, methods=["GET"]),
    Route("/readyz", health.readyz, methods=["GET"]),
    *web_routes,
]


def create_app(
    settings: Settings,
    store: Store,
    bus: Bus,
    operator_credential: str,
    worker_alive: Callable[[], bool] = lambda: True,
) -> Starlette:
    """The application over an open store; whoever made the store closes it after the application has ended.

    `app.state` holds settings, store, bus and tally for the endpoints and the dashboard.
    """
    app = Starlette(
        routes=ROUTES,
        lifespan=_lifespan,
        exception_handlers={
            RefusedError: _refused,
            StoreError: _not_stored,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    app.state.settings = settings
    app.state.store = store
    app.state.bus = bus
    app.state.operator_credential = operator_credential
    app.state.worker_alive = worker_alive
    app.state.tally = counters.Tally()
    app.state.admission = Admission()
    app.state.rate = access.Rate()
    app.state.audit_admission = Admission(*AUDITS_AT_ONCE)
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    flushing = asyncio.create_task(_flush_for_ever(app.state))
    try:
        yield
    finally:
        flushing.cancel()
        await _flush(app.state)


async def _flush_for_ever(state: State) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await _flush(state)


async def _flush(state: State) -> None:
    """Adds what was counted to the database; what it does not take is counted with the next."""
    counted = state.tally.take()
    if not counted:
        return
    try:
        future = state.store.submit(lambda connection: counters.add_all(connection, counted))
        await asyncio.wrap_future(future)
    except StoreError as error:
        log.warning("counters were not stored, they will be with the next: %s", error)
        for name, count in counted.items():
            state.tally.add(name, count)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - that is what it is registered for
    request.app.state.tally.refused(error.cause, error.host)
    log.warning(
        "refused %s %s of %s (%s): %s",
        request.method,
        request.url.path,
        error.host or "a stranger",
        error.cause,
        error.sentence,
    )
    headers = {}
    if error.status in {429, 503}:
        headers["retry-after"] = "60" if error.cause == "rate" else "1"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    return JSONResponse({"error": error.sentence, "cause": error.cause, **error.more}, error.status, headers)


def _not_stored(request: Request, error: Exception) -> Response:
    request.app.state.tally.refused("store")
    log.error("not stored: %s", error)
    sentence = "the database did not take it: nothing of this was stored; send it again"
    return JSONResponse({"error": sentence, "cause": "store"}, 503, {"retry-after": "5"})


def _gone(request: Request, _error: Exception) -> Response:
    request.app.state.tally.refused("disconnected")
    return Response(status_code=400)


def _failed(_request: Request, _error: Exception) -> Response:
    sentence = "this is a defect of nsentry; the controller's log has the details"
    return JSONResponse({"error": sentence, "cause": "defect"}, 500)
