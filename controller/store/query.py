# SPDX-License-Identifier: Apache-2.0
"""Conditions that the lists have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, literal_column, or_, select, tuple_

from controller.store.schema import hosts

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

MIN_ID_PREFIX: Final = 12
"""The shortest beginning of a container id that is taken for one: what `docker ps` prints."""

PROBE: Final = "probe"
"""The means of health checks, which come in by the thousand: lists leave them out unless they are asked for."""


def is_probe(means: ColumnElement[Any]) -> ColumnElement[bool]:
    """It is one. As a literal: SQLite uses a partial index on the same words only."""
    return means == literal_column(f"'{PROBE}'")


def is_visit(means: ColumnElement[Any]) -> ColumnElement[bool]:
    """It is no probe; also where the means is not known."""
    return or_(means.is_(None), means != PROBE)


def on_host(column: ColumnElement[str], host: str) -> ColumnElement[bool]:
    """`column` holds the id of a host that has the id or the name `host`."""
    return column.in_(select(hosts.c.id).where(or_(hosts.c.id == host, hosts.c.name == host)))


def is_container(
    id_column: ColumnElement[Any], name_column: ColumnElement[Any], wanted: str
) -> ColumnElement[bool]:
    """The container has the id or the name `wanted`, or an id that begins with it when it is long enough."""
    same = or_(id_column == wanted, name_column == wanted)
    if len(wanted) < MIN_ID_PREFIX:
        return same
    return or_(same, id_column.startswith(wanted, autoescape=True))


def between(column: ColumnElement[Any], since: int | None, until: int | None) -> list[ColumnElement[bool]]:
    """`since` <= column < `until`, each where it is given."""
    conditions = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return conditions


def newest_first(
    query: Select[Any],
    time: ColumnElement[Any],
    key: ColumnElement[Any],
    limit: int,
    before: tuple[int, str] | None,
) -> Select[Any]:
    """One page of `query`. A page begins at a place, not at an offset, so that what arrives moves nothing."""
    if before is not None:
        # The plain condition lets an index on the time alone find the place.
        query = query.where(and_(time <= before[0], tuple_(time, key) < tuple_(*before)))
    return query.order_by(time.desc(), key.desc()).limit(limit)
