# SPDX-License-Identifier: Apache-2.0
"""Reading entries and attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.views import EntryView


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What to list; every field that is set must hold. Times are ns."""

    host: str | None = None
    """Name or id."""
    container: str | None = None
    """Name, id, or the beginning of an id (12 characters or more)."""
    image: str | None = None
    means: str | None = None
    uid: int | None = None
    session: str | None = None
    kind: str | None = None
    """"entry" or "attempt"."""
    since: int | None = None
    until: int | None = None


def list_(
    connection: Connection,
    filters: EntryFilter | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[EntryView]:
    """Newest first. `before` is the (time_ns, id) of the last one of the page before."""
    raise NotImplementedError


def show(connection: Connection, entry_id: str) -> EntryView | None:
    """One entry; None if there is none of this id."""
    raise NotImplementedError
