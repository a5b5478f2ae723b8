# SPDX-License-Identifier: Apache-2.0
"""How people get in: one-time login links, and the sessions that they open. Only digests are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


def new_link(connection: Connection, user: str, now: int, ttl_s: int = 600) -> str:
    """The secret of a new one-time login link for `user`, good for `ttl_s` seconds from `now` (ns)."""
    raise NotImplementedError


def redeem_link(connection: Connection, secret: str, now: int) -> str | None:
    """The user of the link, which is then used up; None for one that is unknown, used or expired."""
    raise NotImplementedError


def open_session(connection: Connection, user: str, now: int, ttl_s: int = 12 * 3600) -> str:
    """The secret of a new session of `user` (the cookie's value)."""
    raise NotImplementedError


def session_user(connection: Connection, secret: str, now: int) -> str | None:
    """Whose session this is; None for one that is unknown or expired."""
    raise NotImplementedError


def close_session(connection: Connection, secret: str) -> None:
    """Ends the session at once."""
    raise NotImplementedError
