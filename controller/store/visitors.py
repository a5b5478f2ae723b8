# SPDX-License-Identifier: Apache-2.0
"""Who came in where and when: one short row a visit, probes left out, for rules that look back (`detect.past`)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, union_all

from controller.detect.past import MOST, Past, PastVisit, checked, matches
from controller.policy.principals import Principal
from controller.store.dialect import put_all
from controller.store.policy_schema import visitors, withheld
from controller.store.schema import alerts, findings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select

FEW: Final = 100
CLOCKS_NS: Final = 3600 * 10**9
"""By how much the time of what is found in a visit may be before the visit's: a clock that was set back."""

_v = visitors
_PARALLEL = tuple(_v.c[name] for name in PastVisit._fields[:-1])
_FIRED: Final = union_all(
    select(*_PARALLEL)
    .join(alerts, alerts.c.session == _v.c.session)
    .join(findings, findings.c.alert == alerts.c.id)
    .where(findings.c.detection == bindparam("detection"), findings.c.time > bindparam("since")),
    select(*_PARALLEL)
    .join(withheld, withheld.c.session == _v.c.session)
    .where(withheld.c.detection == bindparam("detection"), withheld.c.time > bindparam("since")),
).limit(FEW)
"""Where it fired lately: mostly nowhere, while visits may be many."""


def note_all(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps visits as far as they are known. Called again when more is known of one."""
    put_all(connection, visitors, rows)


def row(host: str, entry: Mapping[str, Any], who: Principal) -> dict[str, Any]:
    """A visit as it is kept; `host` is an id."""
    container = entry["container"]
    return {
        "session": entry["session"],
        "host": host,
        "time": entry["time"],
        "principal": _text(who.name),
        "means": entry["means"],
        "container": container["id"],
        "image": _text(container["image"]),
        "namespace": _text(container["pod"]["namespace"] if container["pod"] else None),
    }


class StoredPast(Past):
    """The past of one visit as the store knows it. Only for the time that the connection is open."""

    def __init__(
        self,
        connection: Connection,
        session: str,
        time: int,
        asked: Callable[[Connection, str], None] = lambda _connection, _detection: None,
    ) -> None:
        """`asked` is told of which detection findings are looked for, before they are."""
        super().__init__(session, time)
        self._connection = connection
        self._told = asked

    def visits(self, *, within: int, **same: str | None) -> tuple[PastVisit, ...]:
        """See Past."""
        asked = {"after": self._time - within, "until": self._time, **checked(same)}
        return tuple(PastVisit(*each) for each in self._connection.execute(_visits(_asked(same)), asked))[
            ::-1
        ]

    def found(self, detection: str, *, within: int, **same: str | None) -> bool:
        """See Past. Also what an exception or an approval withheld was found."""
        self._told(self._connection, detection)
        after = self._time - within
        lately = {"detection": detection, "since": after - CLOCKS_NS}
        fired = self._connection.execute(_FIRED, lately).all()
        if len(fired) == FEW:
            asked = {"after": after, "until": self._time, "but": self._session, "detection": detection}
            every = _found(_asked(same))
            return self._connection.execute(every, {**asked, **checked(same)}).first() is not None
        others = (PastVisit(*each) for each in fired if each.session != self._session)
        return any(after < each.time <= self._time and matches(each, same) for each in others)

    def first(self, **same: str | None) -> bool:
        """See Past."""
        asked = {"until": self._time, "but": self._session, **checked(same)}
        return self._connection.execute(_earlier(_asked(same)), asked).first() is None


Asked = frozenset[tuple[str, bool]]
"""By which columns visits are the same, and whether each is NULL there. What is asked so is made once: rules do
it for each visit."""


def _asked(same: Mapping[str, str | None]) -> Asked:
    return frozenset((name, value is None) for name, value in same.items())


def _same(asked: Asked) -> list[ColumnElement[bool]]:
    return [_v.c[name].is_(None) if null else _v.c[name] == bindparam(name) for name, null in sorted(asked)]


@cache
def _visits(asked: Asked) -> Select[Any]:
    window = (_v.c.time > bindparam("after")) & (_v.c.time <= bindparam("until"))
    query = select(*_PARALLEL).where(window, *_same(asked))
    return query.order_by(_v.c.time.desc(), _v.c.session).limit(MOST)


@cache
def _found(asked: Asked) -> CompoundSelect[Any]:
    window = (_v.c.time > bindparam("after")) & (_v.c.time <= bindparam("until"))
    mine = (window, _v.c.session != bindparam("but"), *_same(asked))
    told = (
        select(_v.c.session)
        .join(alerts, alerts.c.session == _v.c.session)
        .join(findings, findings.c.alert == alerts.c.id)
        .where(*mine, findings.c.detection == bindparam("detection"))
    )
    kept = (
        select(_v.c.session)
        .join(withheld, withheld.c.session == _v.c.session)
        .where(*mine, withheld.c.detection == bindparam("detection"))
    )
    return union_all(told, kept).limit(1)


@cache
def _earlier(asked: Asked) -> Select[Any]:
    before = (_v.c.time <= bindparam("until"), _v.c.session != bindparam("but"))
    return select(_v.c.session).where(*before, *_same(asked)).limit(1)


def _text(value: str | None) -> str | None:
    """PostgreSQL's texts cannot hold NUL, which whoever names a container may write."""
    return None if value is None else value.replace("\0", "\\x00")
