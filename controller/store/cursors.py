# SPDX-License-Identifier: Apache-2.0
"""How far each consumer of the events has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


def position(connection: Connection, name: str) -> int:
    """The `seq` of the last event that the consumer `name` has dealt with; 0 at first."""
    raise NotImplementedError


def advance(connection: Connection, name: str, seq: int) -> None:
    """Sets the cursor of `name`: in the same transaction as the work up to `seq`, so that neither is lost."""
    raise NotImplementedError
