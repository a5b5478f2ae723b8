# SPDX-License-Identifier: Apache-2.0
"""Who may ask: a program with a token that is good for it, and not more often than agreed."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from controller.ingest.refusal import RefusedError
from controller.store import api_tokens

if TYPE_CHECKING:
    from starlette.requests import Request

    from controller.store.api_tokens import Bearer
    from controller.store.engine import Store

MAX_A_MINUTE: Final = 120
"""Requests of one token."""
_MINUTE_S: Final = 60.0
_MAX_TOKEN: Final = 256


class Rate:
    """How often each token asked within the last minute. For the event loop's thread only."""

    def __init__(self, most: int = MAX_A_MINUTE) -> None:
        self._most = most
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, token: str, now: float) -> None:
        """RefusedError "rate": too often; what is refused does not count."""
        asked = self._asked.setdefault(token, deque())
        while asked and asked[0] <= now - _MINUTE_S:
            asked.popleft()
        if len(asked) >= self._most:
            raise RefusedError("rate", f"more than {self._most} requests in a minute by this token")
        asked.append(now)
        self._asked.move_to_end(token)
        if len(self._asked) > api_tokens.MAX_ACTIVE:
            self._asked.popitem(last=False)


async def bearer(request: Request, scope: str) -> Bearer:
    """Whose token the request carries. RefusedError: "credential", "scope", "rate"."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise RefusedError("credential", "this needs a token: 'nsentry-controller api-tokens create'")
    store, now = request.app.state.store, time.time_ns()
    found = await run_in_threadpool(_identify, store, secret[:_MAX_TOKEN], now)
    if found is None:
        raise RefusedError("credential", "the token is not known, has expired, or was revoked")
    request.app.state.rate.admit(found.id, time.monotonic())
    if scope not in found.scopes and scope.replace(":read", ":write") not in found.scopes:
        raise RefusedError("scope", f"the token {found.name} is not for {scope}")
    await asyncio.wrap_future(store.submit(lambda connection: api_tokens.used(connection, found, now)))
    return found


def _identify(store: Store, secret: str, now: int) -> Bearer | None:
    with store.read() as connection:
        return api_tokens.identify(connection, secret, now)
