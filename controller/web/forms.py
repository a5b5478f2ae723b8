# SPDX-License-Identifier: Apache-2.0
"""Forms that change something: a handler gets the fields only once the form has proved where it came from."""

from __future__ import annotations

import functools
import hmac
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    Handler = Callable[[Request, Mapping[str, str]], Response]

MAX_BODY = 64 * 1024
"""Bytes of a request's body: the longest comment several times over."""


def change(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that runs `handler` with the form's fields, in a thread; 403 without the right token."""

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=20) as form:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if not hmac.compare_digest(fields.get("csrf", "").encode(), request.state.csrf.encode()):
            raise HTTPException(403, "The form was not made for this session. Reload the page and try again.")
        return await run_in_threadpool(handler, request, fields)

    return endpoint
