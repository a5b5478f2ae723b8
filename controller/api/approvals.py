# SPDX-License-Identifier: Apache-2.0
"""Approval windows for other programs: a change system opens one, and ends it when the change is done.

POST   /api/v1/approvals            opens a window: 201 and the window
GET    /api/v1/approvals            the windows, `?state=open` those alone
GET    /api/v1/approvals/{number}   one, with the visits that were within it
DELETE /api/v1/approvals/{number}   ends one now, `?reason=`; it stays listed
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from controller.api.access import bearer
from controller.ingest import body
from controller.ingest.refusal import RefusedError
from controller.policy.moments import later
from controller.store import approvals
from sensor import wire

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from controller.store.approvals import State
    from controller.store.engine import Store

MAX_BYTES: Final = 16 * 1024
"""Of one request's body."""
NONE: Final = "there is no approval of this number that could be ended, or it has ended"


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a POST. Times as people type them: RFC 3339, "17:00" (the next, UTC), "2h" from now."""

    principal: str
    until: str
    change: str
    begins: str | None = None
    pod: str | None = None
    container: str | None = None
    image: str | None = None
    host: str | None = None
    means: list[wire.Means] = []
    reason: str | None = None


async def add(request: Request) -> Response:
    """POST /api/v1/approvals."""
    who = await bearer(request, "approvals:write")
    with request.app.state.admission.enter(f"api:{who.id}"):
        window, now = _window(await body.read(request, MAX_BYTES)), time.time_ns()
        store = request.app.state.store
        try:
            future = store.submit(lambda connection: approvals.add(connection, window, who.actor, now))
            number = await asyncio.wrap_future(future)
        except ValueError as error:
            raise RefusedError("malformed", f"not added: {error}") from error
        made = await run_in_threadpool(_show, store, number)
    return JSONResponse(made, 201, {"location": f"/api/v1/approvals/{number}"})


async def list_(request: Request) -> Response:
    """GET /api/v1/approvals."""
    await bearer(request, "approvals:read")
    states = tuple(request.query_params.getlist("state"))
    if set(states) - set(get_args(approvals.State)):
        raise RefusedError("malformed", f"state is one of {', '.join(get_args(approvals.State))}")
    rows = await run_in_threadpool(_list, request.app.state.store, states)  # type: ignore[arg-type]
    return JSONResponse({"approvals": rows})


async def show(request: Request) -> Response:
    """GET /api/v1/approvals/{number}."""
    await bearer(request, "approvals:read")
    found = await run_in_threadpool(_show, request.app.state.store, request.path_params["number"])
    return (
        JSONResponse({"error": "there is no approval of this number"}, 404)
        if found is None
        else JSONResponse(found)
    )


async def revoke(request: Request) -> Response:
    """DELETE /api/v1/approvals/{number}."""
    who = await bearer(request, "approvals:write")
    number, store, now = request.path_params["number"], request.app.state.store, time.time_ns()
    why = request.query_params.get("reason", "").strip()
    if len(why) > approvals.MAX_TEXT or wire.printable(why) != why:
        raise RefusedError("malformed", f"reason has at most {approvals.MAX_TEXT} characters, all to be seen")
    future = store.submit(
        lambda connection: approvals.revoke(connection, number, who.actor, why or None, now)
    )
    if not await asyncio.wrap_future(future):
        return JSONResponse({"error": NONE}, 404)
    return JSONResponse(await run_in_threadpool(_show, store, number))


routes: Final[list[BaseRoute]] = [
    Route("/api/v1/approvals", list_, methods=["GET"]),
    Route("/api/v1/approvals", add, methods=["POST"]),
    Route("/api/v1/approvals/{number:int}", show, methods=["GET"]),
    Route("/api/v1/approvals/{number:int}", revoke, methods=["DELETE"]),
]


def _window(data: bytes) -> dict[str, Any]:
    """As `approvals.add` takes it. RefusedError "malformed"."""
    try:
        wanted = msgspec.json.decode(data, type=_Wanted)
        begins = later(wanted.begins) if wanted.begins else None
        until = later(wanted.until)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise RefusedError("malformed", f"not an approval: {wire.printable(str(error))[:300]}") from error
    return {**msgspec.structs.asdict(wanted), "begins_ns": begins, "until_ns": until}


def _list(store: Store, states: tuple[State, ...]) -> list[approvals.ApprovalView]:
    with store.read() as connection:
        return approvals.list_(connection, time.time_ns(), states)


def _show(store: Store, number: int) -> dict[str, Any] | None:
    if number >= 2**63:  # no database's number
        return None
    with store.read() as connection:
        found = approvals.show(connection, number, time.time_ns())
        visits = [{"session": name, "standing": how} for name, how in approvals.visits(connection, number)]
    return None if found is None else {**found, "visits_within": visits}
