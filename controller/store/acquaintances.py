# SPDX-License-Identifier: Apache-2.0
"""Who has been where before: on which host, and in which namespace of Kubernetes.

What is known stands in the database, so that a restart forgets nobody. A place that is watched for less than
LEARNING_NS is still learning who is usual there: nobody is new in it, or a fresh install would alert on everybody.
The containers of emulations are not usual visits: of those nothing is learned, and they are reported at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, select

from controller.store.dialect import insert
from controller.store.people_schema import acquaintances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from sensor.wire import Principal

LEARNING_NS: Final = 7 * 24 * 3600 * 1_000_000_000
MAX_IN_SCOPE: Final = 5000
"""Principals that are kept of one place: a name can be chosen by whoever may make accounts."""
EMULATED: Final = "nsentry.emulation"

_k = acquaintances
_FORGET: Final = delete(_k).where(_k.c.session.in_(bindparam("sessions", expanding=True)))


def sure(principal: Principal) -> bool:
    """Whether it is known well enough who it was to remember that one."""
    return principal["name"] is not None and principal["confidence"] in {"exact", "strong"}


def forget(connection: Connection, sessions: Sequence[str]) -> None:
    """It is not known, or not any more, who it was in these visits."""
    if sessions:
        connection.execute(_FORGET, {"sessions": list(sessions)})


def meet(
    connection: Connection, host: str, host_name: str, entry: Mapping[str, Any], principal: Principal
) -> list[str]:
    """Takes note of who it `sure`ly was in this visit; the places, in words, where that one had not been before.

    May be called again for the same visit, with the same answer or, when it was another one after all, a new one.
    """
    of_this = _k.c.session == entry["session"]
    name = principal["name"] or ""
    other = (_k.c.kind != principal["kind"]) | (_k.c.name != name)
    connection.execute(delete(_k).where(of_this & other))
    emulated = EMULATED in entry["container"]["labels"]
    return [
        words
        for scope, words in _scopes(host, host_name, entry)
        if _new(connection, scope, principal["kind"], name, entry, emulated=emulated)
    ]


def _new(
    connection: Connection, scope: str, kind: str, name: str, entry: Mapping[str, Any], *, emulated: bool
) -> bool:
    mine = (_k.c.scope == scope) & (_k.c.kind == kind) & (_k.c.name == name)
    known = connection.execute(select(_k.c.session).where(mine)).scalar_one_or_none()
    began, many = connection.execute(
        select(func.min(_k.c.first), func.count()).where(_k.c.scope == scope)
    ).one()
    learned = began is not None and entry["time"] >= began + LEARNING_NS
    if known is not None and known != entry["session"]:
        return False
    if known is None and not emulated and many < MAX_IN_SCOPE:
        row = {
            "scope": scope,
            "kind": kind,
            "name": name,
            "first": entry["time"],
            "session": entry["session"],
        }
        connection.execute(insert(connection, _k).values(row).on_conflict_do_nothing())
    return emulated or learned


def _scopes(host: str, host_name: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each place that the visit was in, as the table and as people call it."""
    yield f"host {host}", f"on host {host_name}"
    pod = entry["container"]["pod"]
    if pod is not None:
        yield f"namespace {pod['namespace']}"[:256], f"in namespace {pod['namespace']}"
