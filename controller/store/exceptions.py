# SPDX-License-Identifier: Apache-2.0
"""Exceptions, kept: what operators said is no alert, by whom, why and until when. None is ever deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypedDict

from sqlalchemy import func, insert, select, update

from controller.policy import expression
from controller.store import audit
from controller.store.policy_schema import exceptions, withheld
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

MAX_REASON: Final = 4096
MAX_LIFE_NS: Final = 366 * 86_400 * 10**9
"""A year: what is normal has to be looked at again some day."""
MAX_ACTIVE: Final = 1000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")

State = Literal["active", "expired", "removed"]
_e = exceptions


class Wanted(NamedTuple):
    """What is to be excepted: findings for which the expression holds, of one detection or of all (None)."""

    expression: str
    detection: str | None = None
    hides: int = 0
    """Alerts that were marked true of which it would have hidden something, as `hindsight.preview` counts them."""
    despite: bool = False
    """It is wanted though it `hides` some."""


class HidesTrueError(ValueError):
    """It would have hidden what was marked true, and nobody said that it is wanted all the same."""


class ExceptionView(TypedDict):
    """One exception."""

    name: str
    state: State
    detection: str | None
    """None: of all detections."""
    expression: str
    author: str
    reason: str
    created: str
    created_ns: int
    expires: str
    expires_ns: int
    removed: str | None
    removed_ns: int | None
    removed_by: str | None
    findings: int
    """How many findings it kept from being alerted."""
    visits: int
    last_hit: str | None
    last_hit_ns: int | None


def add(
    connection: Connection, name: str, wanted: Wanted, *, author: str, reason: str, expires: int, now: int
) -> None:
    """Adds one. ValueError (an ExpressionError or a HidesTrueError, too): what is wrong, and nothing was added."""
    parsed, detection = expression.parse(wanted.expression), wanted.detection
    if wanted.hides and not wanted.despite:
        raise HidesTrueError(f"it would have hidden {wanted.hides} of the alerts that were marked true")
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 2 to 63 lower-case letters, digits and hyphens: backup-web")
    _check(author, reason, expires, now)
    if show(connection, name, now) is not None:
        raise ValueError(f"there is an exception {name} already; names of removed ones are not used again")
    active = select(func.count()).select_from(_e).where(_e.c.removed.is_(None), _e.c.expires > now)
    if connection.execute(active).scalar_one() >= MAX_ACTIVE:
        raise ValueError(f"there are {MAX_ACTIVE} active exceptions: remove some")
    row = {
        "name": name,
        "detection": detection,
        "expression": parsed.text,
        "author": author,
        "reason": reason.strip(),
        "created": now,
        "expires": expires,
    }
    connection.execute(insert(_e).values(row))
    detail = {
        "detection": detection,
        "expression": parsed.text,
        "reason": reason.strip(),
        "expires": rfc3339(expires),
        "true_positives": wanted.hides,
    }
    audit.write(connection, now, author, "exception.add", name, detail)


def remove(connection: Connection, name: str, actor: str, reason: str | None, now: int) -> bool:
    """It applies no more; False if there is none of this name, or it was removed before."""
    mine = (_e.c.name == name) & _e.c.removed.is_(None)
    values = {"removed": now, "removed_by": actor}
    if connection.execute(update(_e).where(mine).values(values)).rowcount != 1:
        return False
    audit.write(connection, now, actor, "exception.remove", name, {"reason": reason})
    return True


def extend(connection: Connection, name: str, expires: int, actor: str, reason: str, now: int) -> bool:
    """Gives it another expiry, earlier or later; False if there is none. ValueError: removed, or no such time."""
    row = show(connection, name, now)
    if row is None:
        return False
    if row["state"] == "removed":
        raise ValueError(f"the exception {name} was removed by {row['removed_by']}: add another")
    _check(actor, reason, expires, now)
    connection.execute(update(_e).where(_e.c.name == name).values(expires=expires))
    detail = {"from": row["expires"], "to": rfc3339(expires), "reason": reason.strip()}
    audit.write(connection, now, actor, "exception.extend", name, detail)
    return True


def list_(connection: Connection, now: int, states: tuple[State, ...] = ()) -> list[ExceptionView]:
    """Those in one of `states`, without any all: active ones first, of each the soonest to expire."""
    rows = [_view(row, now) for row in connection.execute(_ROWS).mappings()]
    order = {"active": 0, "expired": 1, "removed": 2}
    wanted = [row for row in rows if not states or row["state"] in states]
    return sorted(wanted, key=lambda row: (order[row["state"]], row["expires_ns"], row["name"]))


def show(connection: Connection, name: str, now: int) -> ExceptionView | None:
    """One of them; None if there is none of this name."""
    row = connection.execute(_ROWS.where(_e.c.name == name)).mappings().one_or_none()
    return None if row is None else _view(row, now)


def _check(author: str, reason: str, expires: int, now: int) -> None:
    if not author.strip():
        raise ValueError("an exception needs an author")
    if not reason.strip():
        raise ValueError("an exception needs a reason")
    if len(reason) > MAX_REASON:
        raise ValueError(f"a reason has at most {MAX_REASON} characters")
    if expires <= now:
        raise ValueError("it would have expired already")
    if expires > now + MAX_LIFE_NS:
        raise ValueError("an exception lasts a year at most: extend it then")


_hits = (
    select(
        withheld.c.name,
        func.count().label("findings"),
        func.count(withheld.c.session.distinct()).label("visits"),
        func.max(withheld.c.time).label("last_hit"),
    )
    .where(withheld.c.because == "exception")
    .group_by(withheld.c.name)
    .subquery()
)
_ROWS: Final = select(_e, _hits.c.findings, _hits.c.visits, _hits.c.last_hit).join(
    _hits, _hits.c.name == _e.c.name, isouter=True
)


def _view(row: RowMapping, now: int) -> ExceptionView:
    state: State = "active" if row["expires"] > now else "expired"
    return {
        "name": row["name"],
        "state": "removed" if row["removed"] is not None else state,
        "detection": row["detection"],
        "expression": row["expression"],
        "author": row["author"],
        "reason": row["reason"],
        "created": rfc3339(row["created"]),
        "created_ns": row["created"],
        "expires": rfc3339(row["expires"]),
        "expires_ns": row["expires"],
        "removed": rfc3339(row["removed"]),
        "removed_ns": row["removed"],
        "removed_by": row["removed_by"],
        "findings": row["findings"] or 0,
        "visits": row["visits"] or 0,
        "last_hit": rfc3339(row["last_hit"]),
        "last_hit_ns": row["last_hit"],
    }
