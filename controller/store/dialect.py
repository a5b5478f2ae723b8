# SPDX-License-Identifier: Apache-2.0
"""What SQLAlchemy spells differently for SQLite and PostgreSQL, in one place."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Table
    from sqlalchemy.sql.dml import ReturningInsert


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, alike in both dialects."""
    return insert_into(connection.dialect.name, table)


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Inserts `row`, or gives the row of the same primary key the values of the other columns."""
    connection.execute(_put(connection.dialect.name, table, tuple(row)), row)


def put_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Inserts `row` unless it breaks a unique constraint; whether it was inserted."""
    statement = _put_new(connection.dialect.name, table, tuple(row))
    return connection.execute(statement, row).first() is not None


def put_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `put`, for rows that have the same names, in order."""
    if rows:
        connection.execute(_put(connection.dialect.name, table, tuple(rows[0])), [dict(row) for row in rows])


def put_new_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `put_new`, for rows that have the same names; which of them were new is not asked."""
    if rows:
        made = _new(connection.dialect.name, table, tuple(rows[0]))
        connection.execute(made, [dict(row) for row in rows])


# A statement is made once: to build it costs more than to run it. The names of a row are few: the code's own.
@cache
def _put(dialect: str, table: Table, names: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    made = insert_into(dialect, table).values({name: bindparam(name) for name in names})
    keys = [column.name for column in table.primary_key]
    rest = {name: made.excluded[name] for name in names if name not in keys}
    return made.on_conflict_do_update(index_elements=keys, set_=rest)


@cache
def _put_new(dialect: str, table: Table, names: tuple[str, ...]) -> ReturningInsert[Any]:
    return _new(dialect, table, names).returning(*table.primary_key)


@cache
def _new(dialect: str, table: Table, names: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    made = insert_into(dialect, table).values({name: bindparam(name) for name in names})
    return made.on_conflict_do_nothing()


def insert_into(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """As `insert`, for a dialect by its name."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Inserts the rows that break no unique constraint, in order; returns how many those are."""
    if not rows:
        return 0
    key = next(iter(table.primary_key))
    statement = insert(connection, table).on_conflict_do_nothing().returning(key)
    return len(connection.execute(statement, [dict(row) for row in rows]).all())
