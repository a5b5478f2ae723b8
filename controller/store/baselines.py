# SPDX-License-Identifier: Apache-2.0
"""Baselines: what was learned, what waits for a person's word, and what people decided.

A baseline learns what containers do of themselves for a while (`until`), and is ready then: what is new waits to be
accepted or rejected. A frozen one takes nothing in until it is thawed. Nothing is ever learned from a visit unless a
person approves that visit.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import and_, bindparam, func, select, update

from controller.detect.baseline import Normal, State, Trait
from controller.store import audit
from controller.store.baseline_tables import baseline_traits, baselines
from controller.store.dialect import insert_new
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

LEARN_NS: Final = 24 * 3600 * 1_000_000_000
"""How long a new baseline learns: a day has its cron jobs and its quiet hours."""
MAX_TRAITS: Final = 2000
"""Traits of one baseline, those that wait included; more are left out, and counted."""
_SEEN_EACH_NS: Final = 3600 * 1_000_000_000
"""How exactly it is kept when a trait was last seen: each writing costs more than it tells."""

_b, _t = baselines, baseline_traits
_OF_SUBJECTS: Final = select(_b).where(_b.c.subject.in_(bindparam("subjects", expanding=True)))
_KNOWN: Final = select(_t.c.side, _t.c.facet, _t.c.value).where(
    _t.c.subject.in_(bindparam("subjects", expanding=True)), _t.c.status == "known"
)


class FrozenError(ValueError):
    """The baseline is frozen: thaw it first."""


class BaselineView(TypedDict):
    """A baseline as lists show it."""

    subject: str
    state: State
    created: str
    until: str
    """Until when it learns, or did."""
    frozen: str | None
    author: str | None
    known: int
    waiting: int
    rejected: int
    left_out: int


class TraitView(TypedDict):
    """One trait of a baseline."""

    key: str
    side: str
    facet: str
    value: str
    status: str
    first: str
    last: str
    source: str
    author: str | None


def state_of(row: Row[Any], now: int) -> State:
    """Of a row of `baselines`."""
    if row.frozen is not None:
        return "frozen"
    return "learning" if now < row.until else "ready"


def changed(connection: Connection) -> int:
    """When something about baselines that matters to `normal` last changed; 0 when nothing ever did."""
    return connection.execute(select(func.max(_b.c.changed))).scalar_one() or 0


def normal(connection: Connection, subjects: Sequence[str], now: int) -> Normal:
    """What the baselines of these subjects know; those that do not exist yet are learning."""
    asked = {"subjects": list(subjects)}
    rows = {row.subject: row for row in connection.execute(_OF_SUBJECTS, asked)}
    states: list[State] = [state_of(rows[each], now) if each in rows else "learning" for each in subjects]
    known = connection.execute(_KNOWN, asked) if rows else ()
    return Normal(tuple(subjects), tuple(states), frozenset(Trait(*row) for row in known))


def waiting(connection: Connection, subjects: Sequence[str], traits: Collection[Trait]) -> frozenset[Trait]:
    """Those of `traits` that wait for a person's word already."""
    if not subjects:
        return frozenset()
    keys = {key_of(each): each for each in traits}
    query = select(_t.c.key).where(_t.c.subject.in_(subjects), _t.c.key.in_(keys), _t.c.status == "waiting")
    return frozenset(keys[key] for key in connection.execute(query).scalars())


def observe(
    connection: Connection, subjects: Sequence[str], traits: Collection[Trait], source: str, now: int
) -> None:
    """Takes in what a container does of itself: learned where that goes on, else it waits for a person's word."""
    for subject in subjects:
        _begin(connection, subject, now)
        row = connection.execute(select(_b).where(_b.c.subject == subject)).one()
        learns = state_of(row, now) == "learning"
        _add(connection, subject, traits, source, ("known" if learns else "waiting", None), now)
        if learns:
            # What waited from before it learned again is learned with the rest.
            waits = and_(_keys(subject, traits), _t.c.status == "waiting")
            connection.execute(update(_t).where(waits).values(status="known"))


def approve(
    connection: Connection,
    subjects: Sequence[str],
    traits: Collection[Trait],
    session: str,
    by: tuple[str, int],
) -> int:
    """Learns from a visit, on the word of a person (name, time): how many traits were new. Raises FrozenError."""
    author, now = by
    new = 0
    for subject in subjects:
        _begin(connection, subject, now)
        _refuse_frozen(connection, subject)
        new += _add(connection, subject, traits, session, ("known", author), now)
        pending = and_(_keys(subject, traits), _t.c.status != "known")
        new += connection.execute(update(_t).where(pending).values(status="known", author=author)).rowcount
        _touch(connection, subject, by)
        audit.write(
            connection, now, author, "baseline.approve", subject, {"of": session, "traits": len(traits)}
        )
    return new


def decide(
    connection: Connection, subject: str, keys: Collection[str] | None, status: str, by: tuple[str, int]
) -> int:
    """Accepts ("known") or rejects ("rejected") traits by their keys, or all that wait; how many. FrozenError."""
    author, now = by
    _refuse_frozen(connection, subject)
    which = _t.c.status == "waiting" if keys is None else _t.c.key.in_(keys)
    mine = and_(_t.c.subject == subject, which, _t.c.status != status)
    count = connection.execute(update(_t).where(mine).values(status=status, author=author)).rowcount
    _touch(connection, subject, (author, now))
    detail = {"traits": count, "keys": sorted(keys)[:20] if keys is not None else "all that waited"}
    word = "accept" if status == "known" else "reject"
    audit.write(connection, now, author, f"baseline.{word}", subject, detail)
    return count


def set_state(
    connection: Connection, subject: str, wanted: State, by: tuple[str, int], learn_ns: int = LEARN_NS
) -> bool:
    """Freezes it, makes it ready (thawed, and learning no more), or lets it learn from now on. False: there is none."""
    author, now = by
    values: dict[str, Any] = {"frozen": now if wanted == "frozen" else None, "author": author, "changed": now}
    if wanted == "learning":
        values["until"] = now + learn_ns
    if wanted == "ready":
        values["until"] = (
            func.min(_b.c.until, now) if connection.dialect.name == "sqlite" else func.least(_b.c.until, now)
        )
    changed_any = connection.execute(update(_b).where(_b.c.subject == subject).values(**values)).rowcount == 1
    if changed_any:
        audit.write(connection, now, author, f"baseline.{wanted}", subject, {})
    return changed_any


def bring(
    connection: Connection, subject: str, traits: Collection[Trait], source: str, by: tuple[str, int]
) -> int:
    """Takes in a baseline that was made elsewhere, and freezes it; how many traits were new. Raises FrozenError."""
    _begin(connection, subject, by[1])
    new = approve(connection, [subject], traits, source, by)
    set_state(connection, subject, "frozen", by)
    return new


def list_(connection: Connection, now: int, limit: int = 100, offset: int = 0) -> list[BaselineView]:
    """Those with the most that waits first."""
    waiting = _count("waiting")
    query = select(
        _b, _count("known").label("known"), waiting.label("waiting"), _count("rejected").label("rejected")
    )
    page = query.order_by(waiting.desc(), _b.c.subject).limit(limit).offset(offset)
    return [_view(row, now) for row in connection.execute(page)]


def show(connection: Connection, subject: str, now: int) -> BaselineView | None:
    """One baseline; None if there is none of that name."""
    query = select(_b, *(_count(each).label(each) for each in ("known", "waiting", "rejected")))
    row = connection.execute(query.where(_b.c.subject == subject)).one_or_none()
    return None if row is None else _view(row, now)


def traits_of(connection: Connection, subject: str) -> list[TraitView]:
    """What waits first, then by side, facet and value."""
    order = ((_t.c.status != "waiting"), _t.c.side, _t.c.facet, _t.c.value)
    rows = connection.execute(select(_t).where(_t.c.subject == subject).order_by(*order))
    return [
        {
            "key": row.key,
            "side": row.side,
            "facet": row.facet,
            "value": row.value,
            "status": row.status,
            "first": rfc3339(row.first),
            "last": rfc3339(row.last),
            "source": row.source,
            "author": row.author,
        }
        for row in rows
    ]


def key_of(trait: Trait) -> str:
    """Names a trait in a table, on a page and on the command line."""
    told = f"{trait.side}\0{trait.facet}\0{trait.value}"
    return blake2b(told.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _begin(connection: Connection, subject: str, now: int) -> None:
    row = {"subject": subject, "created": now, "until": now + LEARN_NS, "changed": now}
    insert_new(connection, _b, [row])


def _add(
    connection: Connection,
    subject: str,
    traits: Iterable[Trait],
    source: str,
    status: tuple[str, str | None],
    now: int,
) -> int:
    """Adds those that are new, as far as there is room, and notes when the others were seen; how many are new."""
    by_key = {key_of(each): each for each in traits}
    mine = and_(_t.c.subject == subject, _t.c.key.in_(by_key))
    there = {row.key: row.last for row in connection.execute(select(_t.c.key, _t.c.last).where(mine))}
    seen = [key for key, last in there.items() if now - last >= _SEEN_EACH_NS]
    if seen:
        connection.execute(update(_t).where(_t.c.subject == subject, _t.c.key.in_(seen)).values(last=now))
    new = [(key, each) for key, each in by_key.items() if key not in there]
    if not new:
        return 0
    kept = connection.execute(select(func.count()).where(_t.c.subject == subject)).scalar_one()
    fit, over = new[: max(0, MAX_TRAITS - kept)], max(0, len(new) - max(0, MAX_TRAITS - kept))
    if over:
        connection.execute(update(_b).where(_b.c.subject == subject).values(left_out=_b.c.left_out + over))
    rows = [
        {
            "subject": subject,
            "key": key,
            "side": each.side,
            "facet": each.facet,
            "value": each.value,
            "status": status[0],
            "author": status[1],
            "first": now,
            "last": now,
            "source": source,
        }
        for key, each in fit
    ]
    insert_new(connection, _t, rows)
    if status[0] == "known":
        connection.execute(update(_b).where(_b.c.subject == subject).values(changed=now))
    return len(rows)


def _refuse_frozen(connection: Connection, subject: str) -> None:
    if (
        connection.execute(select(_b.c.frozen).where(_b.c.subject == subject)).scalar_one_or_none()
        is not None
    ):
        raise FrozenError(f"the baseline of {subject} is frozen: thaw it first")


def _touch(connection: Connection, subject: str, by: tuple[str, int]) -> None:
    connection.execute(update(_b).where(_b.c.subject == subject).values(author=by[0], changed=by[1]))


def _keys(subject: str, traits: Iterable[Trait]) -> ColumnElement[bool]:
    return and_(_t.c.subject == subject, _t.c.key.in_([key_of(each) for each in traits]))


def _count(status: str) -> Any:  # noqa: ANN401 - SQLAlchemy's own type has no name that says more
    of_it = and_(_t.c.subject == _b.c.subject, _t.c.status == status)
    return select(func.count()).select_from(_t).where(of_it).scalar_subquery()


def _view(row: Row[Any], now: int) -> BaselineView:
    return {
        "subject": row.subject,
        "state": state_of(row, now),
        "created": rfc3339(row.created),
        "until": rfc3339(row.until),
        "frozen": rfc3339(row.frozen),
        "author": row.author,
        "known": row.known,
        "waiting": row.waiting,
        "rejected": row.rejected,
        "left_out": row.left_out,
    }
