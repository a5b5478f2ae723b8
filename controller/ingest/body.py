# SPDX-License-Identifier: Apache-2.0
"""Reading the body of a request: never more than was agreed, nor for longer, nor too many at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from controller.ingest.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

READ_TIMEOUT_S: Final = 30.0
MAX_AT_ONCE: Final = 32
MAX_AT_ONCE_PER_HOST: Final = 2


async def read(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes. RefusedError "size": at once where its length was announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise RefusedError("size", f"body of {announced[:20]} bytes, at most {limit} are read")
    body = bytearray()
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise RefusedError("size", f"body of more than {limit} bytes, at most that are read")
    except TimeoutError:
        raise RefusedError("slow", f"the body did not arrive within {READ_TIMEOUT_S:.0f} s") from None
    return bytes(body)


class Admission:
    """How many requests are worked on at once: in all, and of one host, so that none keeps out the others."""

    def __init__(self, at_once: int = MAX_AT_ONCE, per_host: int = MAX_AT_ONCE_PER_HOST) -> None:
        self._at_once = at_once
        self._per_host = per_host
        self._inside: Counter[str] = Counter()

    @contextmanager
    def enter(self, host: str) -> Iterator[None]:
        """RefusedError "busy" when there are too many already. For the event loop's thread only."""
        if self._inside[host] >= self._per_host or self._inside.total() >= self._at_once:
            raise RefusedError("busy", "too many requests are under way: send again in a second")
        self._inside[host] += 1
        try:
            yield
        finally:
            self._inside[host] -= 1
            if not self._inside[host]:
                del self._inside[host]
