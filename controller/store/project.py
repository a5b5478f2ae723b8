# SPDX-License-Identifier: Apache-2.0
"""From events to what people ask for: sessions, entries, containers, hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


def apply(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Projects one event of the `events` table, which must already hold it.

    May be called again for the same event, and for events in any order: what a row becomes depends on the
    events in the table alone, not on how often or when they were projected.
    """
    raise NotImplementedError


def completed(connection: Connection, event_id: str) -> dict[str, Any] | None:
    """The wire event `event_id` with every update that arrived for it merged in; None if it is not stored."""
    raise NotImplementedError
