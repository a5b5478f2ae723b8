# SPDX-License-Identifier: Apache-2.0
"""How people get in: one-time login links, and the sessions that they open. Only digests are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from controller import tokens
from controller.store.schema import login_links, web_sessions

if TYPE_CHECKING:
    from sqlalchemy import Connection

_S: Final = 1_000_000_000

LINK_TTL_S: Final = 600
SESSION_TTL_S: Final = 12 * 3600


def new_link(connection: Connection, user: str, now: int, ttl_s: int = LINK_TTL_S) -> str:
    """The secret of a new one-time login link for `user`, good for `ttl_s` seconds from `now` (ns)."""
    connection.execute(delete(login_links).where(login_links.c.expires <= now))
    secret = tokens.new("login")
    connection.execute(
        insert(login_links).values(digest=tokens.digest(secret), user=user, expires=now + ttl_s * _S)
    )
    return secret


def redeem_link(connection: Connection, secret: str, now: int) -> str | None:
    """The user of the link, which is then used up; None for one that is unknown, used or expired."""
    return connection.execute(
        update(login_links)
        .where(
            login_links.c.digest == tokens.digest(secret),
            login_links.c.used.is_(None),
            login_links.c.expires > now,
        )
        .values(used=now)
        .returning(login_links.c.user)
    ).scalar_one_or_none()


def open_session(connection: Connection, user: str, now: int, ttl_s: int = SESSION_TTL_S) -> str:
    """The secret of a new session of `user` (the cookie's value)."""
    connection.execute(delete(web_sessions).where(web_sessions.c.expires <= now))
    secret = tokens.new("session")
    connection.execute(
        insert(web_sessions).values(
            digest=tokens.digest(secret), user=user, created=now, expires=now + ttl_s * _S
        )
    )
    return secret


def session_user(connection: Connection, secret: str, now: int) -> str | None:
    """Whose session this is; None for one that is unknown or expired."""
    return connection.execute(
        select(web_sessions.c.user).where(
            web_sessions.c.digest == tokens.digest(secret), web_sessions.c.expires > now
        )
    ).scalar_one_or_none()


def close_session(connection: Connection, secret: str) -> None:
    """Ends the session at once."""
    connection.execute(delete(web_sessions).where(web_sessions.c.digest == tokens.digest(secret)))
