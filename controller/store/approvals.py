# SPDX-License-Identifier: Apache-2.0
"""Approval windows, kept, and the visits that were within one. None is ever deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from sqlalchemy import delete, func, insert, or_, select, update

from controller.policy.approval import TARGETS, Approval, sentence
from controller.store import audit
from controller.store.dialect import put
from controller.store.policy_schema import approvals, approved_visits
from controller.store.schema import sessions
from controller.store.views import ApprovalRef, rfc3339
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping, Select

MAX_TEXT: Final = 512
MAX_LIFE_NS: Final = 31 * 86_400 * 10**9
"""A month: what is longer than a change is a rule, see AuthorizedAdminUsers."""
MAX_OPEN: Final = 1000
"""Windows that are open or planned at once: each visit is compared with all of them."""
GRACE_NS: Final = 5 * 10**9
"""How long after a window the news of a visit's end may take; by the controller's clock."""

State = Literal["open", "planned", "over", "revoked"]
Standing = Literal["approved", "outlived"]
_a, _v = approvals, approved_visits


class ApprovalView(TypedDict):
    """One window."""

    id: int
    state: State
    sentence: str
    principal: str
    pod: str | None
    container: str | None
    image: str | None
    host: str | None
    means: list[str]
    begins: str
    begins_ns: int
    until: str
    until_ns: int
    change: str
    reason: str | None
    author: str
    created: str
    created_ns: int
    revoked: str | None
    revoked_ns: int | None
    revoked_by: str | None
    visits: int
    """How many visits were within it, those that outlived it not counted."""
    outlived: int


def add(connection: Connection, wanted: Mapping[str, Any], author: str, now: int) -> int:
    """Opens a window, from the keys of ApprovalView that say how; returns its number. ValueError: what is wrong.

    `begins_ns` may be left out: from now on.
    """
    row = {
        name: (wanted.get(name) or "").strip() or None for name in (*TARGETS, "principal", "change", "reason")
    }
    for name, label in (("principal", "a principal"), ("change", "a change number")):
        if row[name] is None:
            raise ValueError(f"an approval needs {label}")
    if not any(row[name] for name in TARGETS):
        raise ValueError("an approval needs a target: a pod, container, image or host")
    for name, value in row.items():
        if value is not None and (len(value) > MAX_TEXT or wire.printable(value) != value):
            raise ValueError(f"{name} is longer than {MAX_TEXT} characters, or has some that cannot be seen")
    begins, until = wanted.get("begins_ns") or now, wanted["until_ns"]
    if until <= max(begins, now):
        raise ValueError("the window would have ended already")
    if until - begins > MAX_LIFE_NS:
        raise ValueError("a window is 31 days long at most")
    open_ = select(func.count()).select_from(_a).where(_a.c.until > now, _a.c.revoked.is_(None))
    if connection.execute(open_).scalar_one() >= MAX_OPEN:
        raise ValueError(f"{MAX_OPEN} windows are open or planned: revoke some")
    means = sorted(wanted.get("means") or ())
    row |= {"means": means, "begins": begins, "until": until, "author": author, "created": now}
    number = int(connection.execute(insert(_a).values(row).returning(_a.c.id)).scalar_one())
    approval = _approval({**row, "id": number, "revoked": None})
    detail = {"approval": sentence(approval), "begins": rfc3339(begins), "reason": row["reason"]}
    audit.write(connection, now, author, "approval.add", str(number), detail)
    return number


def revoke(connection: Connection, number: int, actor: str, reason: str | None, now: int) -> bool:
    """Ends a window now; False if there is none of this number, or it has ended."""
    mine = (_a.c.id == number) & _a.c.revoked.is_(None) & (_a.c.until > now)
    values = {"revoked": now, "revoked_by": actor}
    if connection.execute(update(_a).where(mine).values(values)).rowcount != 1:
        return False
    audit.write(connection, now, actor, "approval.revoke", str(number), {"reason": reason})
    return True


def list_(
    connection: Connection, now: int, states: tuple[State, ...] = (), limit: int = 1000
) -> list[ApprovalView]:
    """Those in one of `states`, without any all: the latest end first."""
    rows = connection.execute(_rows().order_by(_a.c.until.desc(), _a.c.id.desc()).limit(limit)).mappings()
    views = [_view(row, now) for row in rows]
    return [view for view in views if not states or view["state"] in states]


def show(connection: Connection, number: int, now: int) -> ApprovalView | None:
    """One of them; None if there is none of this number."""
    row = connection.execute(_rows().where(_a.c.id == number)).mappings().one_or_none()
    return None if row is None else _view(row, now)


def at(connection: Connection, time: int) -> list[Approval]:
    """The windows that were open at `time`, those first that end last."""
    within = (_a.c.begins <= time) & (_a.c.until > time) & or_(_a.c.revoked.is_(None), _a.c.revoked > time)
    rows = connection.execute(select(_a).where(within).order_by(_a.c.until.desc(), _a.c.id).limit(MAX_OPEN))
    return [_approval(row) for row in rows.mappings()]


def any_since(connection: Connection, time: int) -> bool:
    """Whether any window was open after `time`."""
    return connection.execute(select(_a.c.id).where(_a.c.until > time).limit(1)).first() is not None


def mark(connection: Connection, session: str, number: int, standing: Standing, now: int) -> None:
    """Keeps that a visit was within a window, or outlived it."""
    put(connection, _v, {"session": session, "approval": number, "standing": standing, "at": now})


def unmark(connection: Connection, session: str) -> None:
    """It is within none: more is known of it than before."""
    connection.execute(delete(_v).where(_v.c.session == session))


def of_visit(connection: Connection, session: str) -> ApprovalRef | None:
    """The window that a visit was within, or outlived; None without one."""
    found = stood(connection, session)
    return None if found is None else ref(*found)


def ref(approval: Approval, standing: Standing) -> ApprovalRef:
    """What stands beside a visit."""
    return {
        "id": approval.id,
        "standing": standing,
        "sentence": sentence(approval),
        "change": approval.change,
    }


def stood(connection: Connection, session: str) -> tuple[Approval, Standing] | None:
    """The window that a visit was within or outlived, whole."""
    query = select(_a, _v.c.standing).join(_v, _v.c.approval == _a.c.id).where(_v.c.session == session)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else (_approval(row), row["standing"])


def visits(connection: Connection, number: int, limit: int = 100) -> list[tuple[str, Standing]]:
    """Sessions that were within a window, or outlived it, the latest first."""
    query = select(_v.c.session, _v.c.standing).where(_v.c.approval == number)
    rows = connection.execute(query.order_by(_v.c.at.desc(), _v.c.session).limit(limit))
    return [(row.session, row.standing) for row in rows]


def outlived(connection: Connection, now: int) -> list[str]:
    """Visits that are marked as approved and go on though their window has ended."""
    ends = func.coalesce(_a.c.revoked, _a.c.until)
    query = (
        select(_v.c.session)
        .join(_a, _a.c.id == _v.c.approval)
        .join(sessions, sessions.c.id == _v.c.session)
        .where(_v.c.standing == "approved", _a.c.until <= now - GRACE_NS)
        .where(or_(sessions.c.ended.is_(None), sessions.c.ended > ends))
    )
    revoked = (
        select(_v.c.session)
        .join(_a, _a.c.id == _v.c.approval)
        .join(sessions, sessions.c.id == _v.c.session)
        .where(_v.c.standing == "approved", _a.c.revoked <= now - GRACE_NS)
        .where(or_(sessions.c.ended.is_(None), sessions.c.ended > _a.c.revoked))
    )
    return list(connection.execute(query.union(revoked).limit(100)).scalars())


def _rows() -> Select[Any]:
    def counted(standing: Standing) -> Any:  # noqa: ANN401 - SQLAlchemy's own
        mine = (_v.c.approval == _a.c.id) & (_v.c.standing == standing)
        return select(func.count()).select_from(_v).where(mine).scalar_subquery()

    return select(_a, counted("approved").label("visits"), counted("outlived").label("outlived"))


def _approval(row: Mapping[str, Any] | RowMapping) -> Approval:
    return Approval(
        id=row["id"],
        principal=row["principal"],
        begins=row["begins"],
        until=row["until"],
        change=row["change"],
        means=tuple(row["means"]),
        revoked=row["revoked"],
        **{name: row[name] for name in TARGETS},
    )


def _view(row: RowMapping, now: int) -> ApprovalView:
    state: State = "planned" if row["begins"] > now else "open" if row["until"] > now else "over"
    return {
        "id": row["id"],
        "state": "revoked" if row["revoked"] is not None else state,
        "sentence": sentence(_approval(row)),
        "principal": row["principal"],
        "pod": row["pod"],
        "container": row["container"],
        "image": row["image"],
        "host": row["host"],
        "means": row["means"],
        "begins": rfc3339(row["begins"]),
        "begins_ns": row["begins"],
        "until": rfc3339(row["until"]),
        "until_ns": row["until"],
        "change": row["change"],
        "reason": row["reason"],
        "author": row["author"],
        "created": rfc3339(row["created"]),
        "created_ns": row["created"],
        "revoked": rfc3339(row["revoked"]),
        "revoked_ns": row["revoked"],
        "revoked_by": row["revoked_by"],
        "visits": row["visits"],
        "outlived": row["outlived"],
    }
