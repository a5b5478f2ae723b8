# SPDX-License-Identifier: Apache-2.0
"""What operators said is normal: exceptions, approval windows, knobs, and the log of who changed them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, get_args

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from controller.detect import installed
from controller.policy.expression import OPERATORS_OF, parse
from controller.policy.fields import FIELDS
from controller.policy.moments import later
from controller.store import approvals, audit, exceptions, hindsight, knobs, withheld
from controller.web import render
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.hindsight import Preview

DAYS: Final = 30
PAGE: Final = 100
TYPED: Final = ("name", "expression", "detection", "reason", "expires")


def exceptions_page(request: Request) -> Response:
    """The exceptions, and the form for another, with what it would have hidden once that was asked for."""
    typed = {name: request.query_params.get(name, "") for name in TYPED}
    told, error = _preview(request, typed)
    context = {
        "rows": _exceptions(request),
        "typed": typed,
        "told": told,
        "error": error,
        "days": DAYS,
        "fields": FIELDS,
        "operators": OPERATORS_OF,
        "detections": [each.name for each in installed.folders(request.app.state.settings.own_detections)],
    }
    return render.page(request, "exceptions.html", context)


def exceptions_json(request: Request) -> Response:
    """The same for programs; with `expression` also what it would have hidden."""
    typed = {name: request.query_params.get(name, "") for name in TYPED}
    told, error = _preview(request, typed)
    return render.json_response({"exceptions": _exceptions(request), "preview": told, "error": error})


def exception_page(request: Request) -> Response:
    """One exception, and what it withheld."""
    return render.page(request, "exception.html", _exception(request))


def exception_json(request: Request) -> Response:
    """The same for programs."""
    found = _exception(request)
    return render.json_response({**found["row"], "withheld": found["withheld"]})


def add_exception(request: Request, fields: Mapping[str, str]) -> Response:
    """Adds the exception of the form."""
    name, now = fields.get("name", "").strip(), time.time_ns()
    typed = {"expression": fields.get("expression", ""), "detection": fields.get("detection", "")}
    told, error = _preview(request, typed)
    if error is not None:
        raise HTTPException(400, f"Not changed: {error}.")
    hides = told["true_positives"] if told else 0
    despite = fields.get("despite") == "true positives"
    wanted = exceptions.Wanted(typed["expression"], typed["detection"] or None, hides, despite)

    def work(connection: Connection) -> bool:
        expires = later(fields.get("expires", ""))
        reason = fields.get("reason", "")
        author = request.state.user
        exceptions.add(connection, name, wanted, author=author, reason=reason, expires=expires, now=now)
        return True

    return _change(request, work, f"/exceptions/{name}")


def remove_exception(request: Request, fields: Mapping[str, str]) -> Response:
    """Ends one."""
    name, why = request.path_params["name"], fields.get("reason", "").strip() or None
    me, now = request.state.user, time.time_ns()
    return _change(request, lambda c: exceptions.remove(c, name, me, why, now), f"/exceptions/{name}")


def extend_exception(request: Request, fields: Mapping[str, str]) -> Response:
    """Gives one another expiry."""
    name, me, now = request.path_params["name"], request.state.user, time.time_ns()

    def work(connection: Connection) -> bool:
        expires = later(fields.get("expires", ""))
        return exceptions.extend(connection, name, expires, me, fields.get("reason", ""), now)

    return _change(request, work, f"/exceptions/{name}")


def approvals_page(request: Request) -> Response:
    """The windows, and the form for another."""
    context = {"rows": _approvals(request), "means": get_args(wire.Means)}
    return render.page(request, "approvals.html", context)


def approvals_json(request: Request) -> Response:
    """The same for programs."""
    return render.json_response({"approvals": _approvals(request)})


def approval_page(request: Request) -> Response:
    """One window, the visits within it and what was found in them."""
    return render.page(request, "approval.html", _approval(request))


def approval_json(request: Request) -> Response:
    """The same for programs."""
    found = _approval(request)
    visits = [{"session": name, "standing": how} for name, how in found["visits"]]
    return render.json_response({**found["row"], "visits_within": visits, "withheld": found["withheld"]})


def add_approval(request: Request, fields: Mapping[str, str]) -> Response:
    """Opens the window of the form."""
    me, now = request.state.user, time.time_ns()

    def work(connection: Connection) -> bool:
        begins = fields.get("from", "").strip()
        window: dict[str, Any] = {
            **fields,
            "means": [fields["means"]] if fields.get("means") else [],
            "begins_ns": later(begins) if begins else None,
            "until_ns": later(fields.get("until", "")),
        }
        return bool(approvals.add(connection, window, me, now))

    return _change(request, work, "/approvals")


def revoke_approval(request: Request, fields: Mapping[str, str]) -> Response:
    """Ends one now."""
    number, why = request.path_params["number"], fields.get("reason", "").strip() or None
    me, now = request.state.user, time.time_ns()
    return _change(request, lambda c: approvals.revoke(c, number, me, why, now), f"/approvals/{number}")


def audit_page(request: Request) -> Response:
    """Who changed what, and the knobs as they are in force."""
    settings = request.app.state.settings.knobs
    with request.app.state.store.read() as connection:
        rows, known = _audit(connection, request), knobs.list_(connection, settings)
    last = rows[-1]["id"] if len(rows) == PAGE else None
    return render.page(request, "audit.html", {"rows": rows, "knobs": known, "next": last})


def audit_json(request: Request) -> Response:
    """The same for programs."""
    settings = request.app.state.settings.knobs
    with request.app.state.store.read() as connection:
        body = {"audit": _audit(connection, request), "knobs": knobs.list_(connection, settings)}
    return render.json_response(body)


def _audit(connection: Connection, request: Request) -> list[audit.AuditView]:
    before = request.query_params.get("before", "")
    after = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    return audit.list_(connection, limit=PAGE, before=after)


def _exceptions(request: Request) -> list[exceptions.ExceptionView]:
    with request.app.state.store.read() as connection:
        return exceptions.list_(connection, time.time_ns())


def _exception(request: Request) -> dict[str, Any]:
    name = request.path_params["name"]
    with request.app.state.store.read() as connection:
        row = exceptions.show(connection, name, time.time_ns())
        kept = withheld.by(connection, "exception", name)
    if row is None:
        raise HTTPException(404, "There is no exception of this name.")
    return {"row": row, "withheld": kept}


def _approvals(request: Request) -> list[approvals.ApprovalView]:
    with request.app.state.store.read() as connection:
        return approvals.list_(connection, time.time_ns())


def _approval(request: Request) -> dict[str, Any]:
    number = request.path_params["number"]
    with request.app.state.store.read() as connection:
        row = approvals.show(connection, number, time.time_ns())
        kept = withheld.by(connection, "approval", str(number))
        visits = approvals.visits(connection, number)
    if row is None:
        raise HTTPException(404, "There is no approval of this number.")
    return {"row": row, "withheld": kept, "visits": visits}


def _preview(request: Request, typed: Mapping[str, str]) -> tuple[Preview | None, str | None]:
    """What the expression that was typed would have hidden, or what is wrong with it."""
    if not typed["expression"].strip():
        return None, None
    try:
        parsed = parse(typed["expression"])
    except ValueError as error:
        return None, str(error)
    since = time.time_ns() - DAYS * 86_400 * 10**9
    with request.app.state.store.read() as connection:
        return hindsight.preview(connection, parsed, typed["detection"] or None, since), None


def _change(request: Request, work: Callable[[Connection], bool], where: str) -> Response:
    try:
        done = request.app.state.store.write(work)
    except ValueError as error:
        raise HTTPException(400, f"Not changed: {error}.") from error
    if not done:
        raise HTTPException(409, "Not changed: there is none of this name that could be, or it has ended.")
    return RedirectResponse(where, 303)
