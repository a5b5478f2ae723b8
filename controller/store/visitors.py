# SPDX-License-Identifier: Apache-2.0
"""Who came in where and when: one short row a visit, probes left out, for rules that look back (`detect.past`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, union_all

from controller.detect.past import MOST, Past, PastVisit, checked
from controller.policy.principals import Principal
from controller.store.dialect import put
from controller.store.policy_schema import visitors, withheld
from controller.store.schema import alerts, findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection

_v = visitors
_PARALLEL = tuple(_v.c[name] for name in PastVisit._fields[:-1])


def note(connection: Connection, host: str, entry: Mapping[str, Any], who: Principal) -> None:
    """Keeps a visit as far as it is known; `host` is an id. Called again when more is known of it."""
    container = entry["container"]
    row = {
        "session": entry["session"],
        "host": host,
        "time": entry["time"],
        "principal": _text(who.name),
        "means": entry["means"],
        "container": container["id"],
        "image": _text(container["image"]),
        "namespace": _text(container["pod"]["namespace"] if container["pod"] else None),
    }
    put(connection, visitors, row)


class StoredPast(Past):
    """The past of one visit as the store knows it. Only for the time that the connection is open."""

    def __init__(self, connection: Connection, session: str, time: int) -> None:
        super().__init__(session, time)
        self._connection = connection

    def visits(self, *, within: int, **same: str | None) -> tuple[PastVisit, ...]:
        """See Past."""
        window = (_v.c.time > self._time - within) & (_v.c.time <= self._time)
        query = select(*_PARALLEL).where(window, *_same(same)).order_by(_v.c.time.desc(), _v.c.session)
        return tuple(PastVisit(*row) for row in self._connection.execute(query.limit(MOST)))[::-1]

    def found(self, detection: str, *, within: int, **same: str | None) -> bool:
        """See Past. Also what an exception or an approval withheld was found."""
        window = (_v.c.time > self._time - within) & (_v.c.time <= self._time)
        mine = (window, _v.c.session != self._session, *_same(same))
        told = (
            select(_v.c.session)
            .join(alerts, alerts.c.session == _v.c.session)
            .join(findings, findings.c.alert == alerts.c.id)
            .where(*mine, findings.c.detection == detection)
        )
        kept = (
            select(_v.c.session)
            .join(withheld, withheld.c.session == _v.c.session)
            .where(*mine, withheld.c.detection == detection)
        )
        return self._connection.execute(union_all(told, kept).limit(1)).first() is not None

    def first(self, **same: str | None) -> bool:
        """See Past."""
        earlier = (_v.c.time <= self._time, _v.c.session != self._session, *_same(same))
        return self._connection.execute(select(_v.c.session).where(*earlier).limit(1)).first() is None


def _same(same: dict[str, str | None]) -> list[ColumnElement[bool]]:
    return [
        _v.c[name].is_(None) if value is None else _v.c[name] == value
        for name, value in checked(same).items()
    ]


def _text(value: str | None) -> str | None:
    """PostgreSQL's texts cannot hold NUL, which whoever names a container may write."""
    return None if value is None else value.replace("\0", "\\x00")
