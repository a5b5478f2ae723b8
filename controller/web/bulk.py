# SPDX-License-Identifier: Apache-2.0
"""What a person does about several alerts of the list at once (Q7)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, get_args

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from controller.store import alerts
from controller.store.views import CLOSED_STATES, AlertState
from controller.web import filters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    Work = Callable[[Connection, str, int], bool]

DONE: Final = {"take": "taken", "close": "closed"}


def bulk(request: Request, fields: Mapping[str, str]) -> Response:
    """Takes or closes the alerts of the form, all in one transaction; leads back to the list.

    An alert that is closed already is left as it is, and counted: somebody was faster.
    """
    chosen = [each for each in fields.get("alerts", "").split(",") if re.fullmatch(r"[0-9a-f]{16}", each)]
    if not chosen or len(chosen) > filters.PAGE:
        raise HTTPException(400, f"Choose at least one alert, and at most {filters.PAGE}.")
    action = fields.get("action", "")
    work = _work(action, fields, request.state.user)
    now = time.time_ns()

    def all_of_them(connection: Connection) -> int:
        return sum(work(connection, alert, now) for alert in dict.fromkeys(chosen))

    try:
        done = request.app.state.store.write(all_of_them)
    except ValueError as error:
        raise HTTPException(400, f"Nothing was changed: {error}.") from error
    back = filters.parse(request.query_params).url()
    did = f"did={action}-{done}-{len(set(chosen)) - done}"
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{did}", 303)


def told(params: QueryParams) -> str | None:
    """What the address says was done, as a sentence; None where nothing was."""
    did = re.fullmatch(r"(take|close)-(\d{1,3})-(\d{1,3})", params.get("did", ""), re.ASCII)
    if did is None:
        return None
    done, left = int(did[2]), int(did[3])
    sentence = f"{done} {'alert was' if done == 1 else 'alerts were'} {DONE[did[1]]}."
    return f"{sentence} Left as before, for they were closed already: {left}." if left else sentence


def _work(action: str, fields: Mapping[str, str], user: str) -> Work:
    """What to do with each; it returns whether it did."""
    if action == "take":
        return lambda connection, alert, now: _take(connection, alert, user, now)
    verdict = next((each for each in get_args(AlertState) if each == fields.get("state")), None)
    if action != "close" or verdict not in CLOSED_STATES:
        raise HTTPException(400, "The form says neither to take the alerts nor what they were.")
    reason = fields.get("reason", "")
    return lambda connection, alert, now: _close(connection, alert, verdict, user, reason, now)


def _take(connection: Connection, alert: str, user: str, now: int) -> bool:
    state = alerts.state(connection, alert)
    if state is None or state in CLOSED_STATES:
        return False
    if state == "new":
        alerts.set_state(connection, alert, "acknowledged", user, None, now)
    return alerts.assign(connection, alert, user, user, now)


def _close(connection: Connection, alert: str, verdict: AlertState, user: str, reason: str, now: int) -> bool:
    state = alerts.state(connection, alert)
    if state is None or state in CLOSED_STATES:
        return False
    return alerts.set_state(connection, alert, verdict, user, reason, now)
