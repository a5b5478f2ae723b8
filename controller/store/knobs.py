# SPDX-License-Identifier: Apache-2.0
"""Knobs that were set by command: they go before those of the settings file, until they are unset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from sqlalchemy import delete, select

from controller.policy.knobs import KNOBS, KnobError, Knobs, read, words
from controller.store import audit
from controller.store.dialect import put
from controller.store.policy_schema import knobs
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

FILE = "controller.toml"


class KnobView(TypedDict):
    """One knob as it is in force."""

    name: str
    value: list[str] | None
    """None: not set, it asks for nothing."""
    origin: Literal["command", "controller.toml", "default"]
    author: str | None
    at: str | None
    at_ns: int | None
    takes: str
    meaning: str


def set_(connection: Connection, name: str, value: Sequence[str], actor: str, now: int) -> None:
    """Sets a knob. KnobError: there is none of this name, or it does not take that."""
    read({name: value})
    before = connection.execute(select(knobs.c.value).where(knobs.c.name == name)).scalar_one_or_none()
    put(connection, knobs, {"name": name, "value": list(value), "author": actor, "at": now})
    audit.write(connection, now, actor, "knob.set", name, {"from": before, "to": list(value)})


def unset(connection: Connection, name: str, actor: str, now: int) -> bool:
    """What the settings file says counts again; False if it was not set by command. KnobError: no such knob."""
    if name not in KNOBS:
        raise KnobError(f"there is no knob {name}; there are {', '.join(KNOBS)}")
    before = connection.execute(select(knobs.c.value).where(knobs.c.name == name)).scalar_one_or_none()
    if before is None:
        return False
    connection.execute(delete(knobs).where(knobs.c.name == name))
    audit.write(connection, now, actor, "knob.unset", name, {"from": before})
    return True


def in_force(connection: Connection, settings: Mapping[str, str | Sequence[str]]) -> Knobs:
    """The knobs: those set by command before those of `settings`."""
    kept = {row.name: row.value for row in connection.execute(select(knobs.c.name, knobs.c.value))}
    return read({**settings, **{name: value for name, value in kept.items() if name in KNOBS}})


def list_(connection: Connection, settings: Mapping[str, str | Sequence[str]]) -> list[KnobView]:
    """Every knob, and where its value is from."""
    kept = {row["name"]: row for row in connection.execute(select(knobs)).mappings()}
    force = in_force(connection, settings)
    views: list[KnobView] = []
    for name, knob in KNOBS.items():
        row = kept.get(name)
        views.append(
            {
                "name": name,
                "value": words(force, name),
                "origin": "command" if row else "controller.toml" if name in settings else "default",
                "author": row["author"] if row else None,
                "at": rfc3339(row["at"]) if row else None,
                "at_ns": row["at"] if row else None,
                "takes": knob.takes,
                "meaning": knob.meaning,
            }
        )
    return views
