# SPDX-License-Identifier: Apache-2.0
"""How far each consumer of the events has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from controller.store.dialect import put
from controller.store.schema import cursors

if TYPE_CHECKING:
    from sqlalchemy import Connection


def position(connection: Connection, name: str) -> int:
    """The `seq` of the last event that the consumer `name` has dealt with; 0 at first."""
    found = connection.execute(select(cursors.c.seq).where(cursors.c.name == name)).scalar_one_or_none()
    return found or 0


def advance(connection: Connection, name: str, seq: int) -> None:
    """Sets the cursor of `name`: in the same transaction as the work up to `seq`, so that neither is lost."""
    put(connection, cursors, {"name": name, "seq": seq})
