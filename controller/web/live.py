# SPDX-License-Identifier: Apache-2.0
"""The stream of what changes: server-sent events for the open pages.

    event: alert      an alert was raised, escalated, changed by a person; its id is the id of the change
    event: count      how many alerts are open now
    event: visit      the session that the page shows went on (`?session=ID`), or may have, before the first look
    event: signed-out the session of who looks has ended; nothing follows

It begins with the change that the page was made at (`?after=ID`), and a browser that lost the connection comes
back with the id of the last change it saw: none is missed.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from controller.store import alerts, logins
from controller.store.schema import events
from controller.web.filters import OPEN
from controller.web.gate import COOKIE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.engine import Store

LOOK_EVERY_S = 1.0
"""A look costs two or three index reads; with MAX_STREAMS open pages that is still nothing."""
MAX_STREAMS = 200
PING_S = 15


@dataclass
class Follower:
    """What one open page has seen. `look` is for a thread: it reads the database."""

    store: Store
    secret: str
    seen: int
    session: str | None
    events: int | None = None
    over: bool = field(default=False, init=False)

    def look(self) -> list[ServerSentEvent]:
        """What happened since the last look."""
        with self.store.read() as connection:
            if logins.session_user(connection, self.secret, time.time_ns()) is None:
                self.over = True
                return [ServerSentEvent("", event="signed-out")]
            return [*self._alerts(connection), *self._visit(connection)]

    def _alerts(self, connection: Connection) -> Iterator[ServerSentEvent]:
        before = self.seen
        for change in alerts.changes(connection, before):
            self.seen = change["change"]["id"]
            what = {"alert": change["alert"]["id"], "action": change["change"]["action"]}
            yield ServerSentEvent(json.dumps(what), event="alert", id=str(self.seen))
        if self.seen != before:
            yield ServerSentEvent(str(alerts.count(connection, OPEN)), event="count")

    def _visit(self, connection: Connection) -> Iterator[ServerSentEvent]:
        if self.session is None:
            return
        statement = select(func.count()).select_from(events).where(events.c.session == self.session)
        count = connection.execute(statement).scalar_one()
        if count != self.events:
            yield ServerSentEvent(str(count), event="visit")
        self.events = count


class _Streams:
    """How many are open: each holds a connection and looks once a second."""

    def __init__(self) -> None:
        self.open = 0


_streams = _Streams()


async def live(request: Request) -> Response:
    """Follows the changes until the browser goes away or the session ends."""
    if _streams.open >= MAX_STREAMS:
        raise HTTPException(503, "Too many pages follow the alerts at once. Reload to see what is new.")
    follower = await run_in_threadpool(_begin, request)
    return EventSourceResponse(_follow(follower), ping=PING_S)


def _begin(request: Request) -> Follower:
    last = request.headers.get("last-event-id") or request.query_params.get("after", "")
    store: Store = request.app.state.store
    with store.read() as connection:
        known = last.isascii() and last.isdigit() and len(last) < 19
        seen = int(last) if known else alerts.last_change(connection)
    return Follower(store, request.cookies[COOKIE], seen, request.query_params.get("session"))


async def _follow(follower: Follower) -> AsyncIterator[ServerSentEvent]:
    _streams.open += 1
    try:
        yield ServerSentEvent("", event="following", retry=2000)
        while not follower.over:
            for event in await run_in_threadpool(follower.look):
                yield event
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        _streams.open -= 1
