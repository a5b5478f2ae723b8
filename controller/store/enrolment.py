# SPDX-License-Identifier: Apache-2.0
"""How a host comes to have an identity: enrolment tokens, credentials, and their end."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from controller import tokens
from controller.store.schema import enrol_tokens, hosts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sensor import wire

_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a credential is. `revoked`: it was good once."""

    host: str
    revoked: bool
    kind: str = "host"
    """"host", of a sensor, or "cluster", of an API server."""


def new_token(connection: Connection, now: int, ttl_s: int, uses: int, note: str = "") -> str:
    """The secret of a new enrolment token, good for `uses` hosts within `ttl_s` seconds from `now` (ns)."""
    connection.execute(delete(enrol_tokens).where(enrol_tokens.c.expires <= now))
    secret = tokens.new("enrol")
    row = {
        "id": secrets.token_hex(8),
        "digest": tokens.digest(secret),
        "created": now,
        "expires": now + ttl_s * _S,
        "uses_left": uses,
        "note": note,
    }
    connection.execute(insert(enrol_tokens).values(row))
    return secret


def enrol(connection: Connection, wanted: wire.Enrolment, now: int) -> tuple[str, str] | None:
    """Uses up one use of the token; returns the new host's id and credential. None: the token is not good.

    Every enrolment makes a new host, also on a machine that was enrolled before: a sensor whose state was
    wiped counts its events from 1 again, and under its old id they would be taken for ones already stored.
    The host before, of the same machine and name, is revoked: two sensors of one host would tell all twice.
    """
    used = connection.execute(
        update(enrol_tokens)
        .where(
            enrol_tokens.c.digest == tokens.digest(wanted["token"]),
            enrol_tokens.c.expires > now,
            enrol_tokens.c.uses_left > 0,
        )
        .values(uses_left=enrol_tokens.c.uses_left - 1)
    )
    if used.rowcount != 1:
        return None
    host, credential = f"h{secrets.token_hex(8)}", tokens.new("sensor")
    if wanted["machine"] is not None:
        same = (hosts.c.machine == wanted["machine"]) & (hosts.c.name == wanted["name"])
        before = update(hosts).where(same, hosts.c.revoked.is_(None))
        connection.execute(before.values(revoked=now, replaced_by=host))
    row = {
        "id": host,
        "credential": tokens.digest(credential),
        "enrolled": now,
        **{name: wanted[name] for name in ("name", "machine", "kernel", "os", "arch", "sensor")},
    }
    connection.execute(insert(hosts).values(row))
    return host, credential


def identify(connection: Connection, credential: str) -> Identity | None:
    """Whose credential it is; None if it never was one."""
    row = connection.execute(
        select(hosts.c.id, hosts.c.revoked, hosts.c.kind).where(
            hosts.c.credential == tokens.digest(credential)
        )
    ).one_or_none()
    return None if row is None else Identity(row.id, row.revoked is not None, row.kind)


def revoke(connection: Connection, host: str, now: int) -> bool:
    """Ends the credential of the host with this id; False if there is none, or none that is good."""
    ended = connection.execute(
        update(hosts).where(hosts.c.id == host, hosts.c.revoked.is_(None)).values(revoked=now)
    )
    return ended.rowcount == 1
