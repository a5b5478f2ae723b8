# SPDX-License-Identifier: Apache-2.0
"""What SQLAlchemy spells differently for SQLite and PostgreSQL, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Table


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, alike in both dialects."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Inserts `row`, or gives the row of the same primary key the values of the other columns."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in keys}
    connection.execute(
        insert(connection, table).values(row).on_conflict_do_update(index_elements=keys, set_=rest)
    )


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Inserts the rows that break no unique constraint, in order; returns how many those are."""
    if not rows:
        return 0
    key = next(iter(table.primary_key))
    statement = insert(connection, table).on_conflict_do_nothing().returning(key)
    return len(connection.execute(statement, [dict(row) for row in rows]).all())
