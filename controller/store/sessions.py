# SPDX-License-Identifier: Apache-2.0
"""Reading sessions: who is or was inside, and everything that happened there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.views import SessionRow, SessionView


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What to list; every field that is set must hold. Times are ns."""

    host: str | None = None
    container: str | None = None
    means: str | None = None
    open_only: bool = False
    """Only sessions that have not ended."""
    since: int | None = None
    until: int | None = None


def list_(
    connection: Connection,
    filters: SessionFilter | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[SessionRow]:
    """Newest first by `began`. `before` is the (began_ns, id) of the last one of the page before."""
    raise NotImplementedError


def show(connection: Connection, session_id: str, max_events: int = 2000) -> SessionView | None:
    """One session with its first `max_events` events; None if there is none of this id."""
    raise NotImplementedError
