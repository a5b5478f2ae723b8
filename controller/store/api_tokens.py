# SPDX-License-Identifier: Apache-2.0
"""Tokens of programs that use the API: what each may do, until when, and who made it. Only digests are kept."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypedDict

from sqlalchemy import func, insert, select, update

from controller import tokens
from controller.store import audit
from controller.store.policy_schema import api_tokens
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, RowMapping

SCOPES: Final = ("approvals:read", "approvals:write")
"""What a token may be good for; to write is to read too."""
MAX_LIFE_NS: Final = 366 * 86_400 * 10**9
MAX_ACTIVE: Final = 1000
_USED_EACH_NS: Final = 60 * 10**9
"""How exactly it is kept when a token was last used."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")

State = Literal["active", "expired", "revoked"]
_t = api_tokens


class TokenView(TypedDict):
    """A token as lists show it. The token itself is shown once, when it is made."""

    id: str
    name: str
    state: State
    scopes: list[str]
    author: str
    created: str
    created_ns: int
    expires: str
    expires_ns: int
    revoked: str | None
    revoked_ns: int | None
    revoked_by: str | None
    last_used: str | None
    """To the minute."""
    last_used_ns: int | None


class Bearer(NamedTuple):
    """Who asks: the token's id, the name under which its changes are audited, and what it may do."""

    id: str
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """As the audit log has it."""
        return f"api:{self.name}"


def new(
    connection: Connection, name: str, scopes: Collection[str], expires: int, by: tuple[str, int]
) -> tuple[str, str]:
    """Id and secret of a new token, made by (name, time). ValueError: what is wrong with it."""
    author, now = by
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 2 to 63 lower-case letters, digits and hyphens: change-system")
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"a token is for some of {', '.join(SCOPES)}")
    if not now < expires <= now + MAX_LIFE_NS:
        raise ValueError("a token lasts a year at most, and ends in the future")
    active = (_t.c.revoked.is_(None)) & (_t.c.expires > now)
    if connection.execute(select(_t.c.id).where(active, _t.c.name == name)).first() is not None:
        raise ValueError(f"there is a token {name} already: revoke it, or take another name")
    if connection.execute(select(func.count()).select_from(_t).where(active)).scalar_one() >= MAX_ACTIVE:
        raise ValueError(f"there are {MAX_ACTIVE} tokens: revoke some")
    secret, row_id = tokens.new("api"), secrets.token_hex(8)
    row = {"id": row_id, "name": name, "digest": tokens.digest(secret), "scopes": sorted(set(scopes))}
    connection.execute(insert(_t).values(**row, author=author, created=now, expires=expires))
    detail = {"id": row_id, "scopes": row["scopes"], "expires": rfc3339(expires)}
    audit.write(connection, now, author, "api_token.create", name, detail)
    return row_id, secret


def revoke(connection: Connection, which: str, actor: str, now: int) -> int:
    """Ends the token of this id or name; how many were ended (none: there is none that is good)."""
    mine = ((_t.c.id == which) | (_t.c.name == which)) & _t.c.revoked.is_(None) & (_t.c.expires > now)
    ended = connection.execute(update(_t).where(mine).values(revoked=now, revoked_by=actor)).rowcount
    if ended:
        audit.write(connection, now, actor, "api_token.revoke", which, {})
    return ended


def list_(connection: Connection, now: int, limit: int = 1000) -> list[TokenView]:
    """The latest first, those that are not good any more too."""
    rows = connection.execute(select(_t).order_by(_t.c.created.desc(), _t.c.id).limit(limit)).mappings()
    return [_view(row, now) for row in rows]


def identify(connection: Connection, secret: str, now: int) -> Bearer | None:
    """Whose token it is; None if it is not good, or not any more."""
    good = (_t.c.digest == tokens.digest(secret)) & _t.c.revoked.is_(None) & (_t.c.expires > now)
    row = connection.execute(select(_t).where(good)).one_or_none()
    return None if row is None else Bearer(row.id, row.name, frozenset(row.scopes))


def used(connection: Connection, bearer: Bearer, now: int) -> None:
    """Notes that it was."""
    before = _t.c.last_used.is_(None) | (_t.c.last_used < now - _USED_EACH_NS)
    connection.execute(update(_t).where(_t.c.id == bearer.id, before).values(last_used=now))


def _view(row: RowMapping, now: int) -> TokenView:
    state: State = "active" if row["expires"] > now else "expired"
    return {
        "id": row["id"],
        "name": row["name"],
        "state": "revoked" if row["revoked"] is not None else state,
        "scopes": row["scopes"],
        "author": row["author"],
        "created": rfc3339(row["created"]),
        "created_ns": row["created"],
        "expires": rfc3339(row["expires"]),
        "expires_ns": row["expires"],
        "revoked": rfc3339(row["revoked"]),
        "revoked_ns": row["revoked"],
        "revoked_by": row["revoked_by"],
        "last_used": rfc3339(row["last_used"]),
        "last_used_ns": row["last_used"],
    }
