# SPDX-License-Identifier: Apache-2.0
"""/healthz and /readyz, for whoever has the operator's credential or a session of the dashboard."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from controller.export.exporter import status
from controller.ingest.refusal import RefusedError
from controller.store import cursors, logins, troubles
from controller.store.engine import StoreError

if TYPE_CHECKING:
    from starlette.datastructures import State
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.engine import Store

DETECT_CURSOR: Final = "detect"
SESSION_COOKIE: Final = "__Host-nsentry"


async def healthz(request: Request) -> Response:
    """The process answers."""
    await _admit(request)
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """The store takes writes and the detect worker runs: 200, else 503; how far it is behind in any case."""
    await _admit(request)
    state = request.app.state
    problems = []
    try:
        await run_in_threadpool(state.store.write, lambda _: None)
    except StoreError as error:
        problems.append(f"the store takes no writes: {error}")
    if not state.worker_alive():
        problems.append("the detect worker does not run")
    body: dict[str, Any] = {"status": "failing" if problems else "ok", "problems": problems}
    if not problems:
        body["behind"] = await run_in_threadpool(_behind, state)
        body["troubled"] = await run_in_threadpool(_troubled, state)
        body["exports"] = await run_in_threadpool(_exports, state)
    return JSONResponse(body, 503 if problems else 200)


def _behind(state: State) -> int:
    """How many events the detect worker has not seen yet, at most: numbers may have gaps."""
    with state.store.read() as connection:
        position = cursors.position(connection, DETECT_CURSOR)
    return max(0, int(state.bus.head()) - position)


def _exports(state: State) -> list[dict[str, Any]]:
    """How each export goes. One that fails is its receiver's trouble: the controller is ready all the same."""
    with state.store.read() as connection:
        return status(connection, state.settings.exports)


def _troubled(state: State) -> list[str]:
    """The detections whose rules have failed or were slow: the others went on."""
    with state.store.read() as connection:
        return [each["detection"] for each in troubles.list_(connection)]


async def _admit(request: Request) -> None:
    """RefusedError "credential" without the operator's credential or a session."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(
        given.encode(), request.app.state.operator_credential.encode()
    ):
        return
    cookie = request.cookies.get(SESSION_COOKIE, "")
    if not cookie or await run_in_threadpool(_user, request.app.state.store, cookie) is None:
        raise RefusedError("credential", "this needs the operator's credential, or a session")


def _user(store: Store, secret: str) -> str | None:
    with store.read() as connection:
        return logins.session_user(connection, secret, time.time_ns())
