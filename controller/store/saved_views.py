# SPDX-License-Identifier: Apache-2.0
"""Ways to look at the alerts that people saved under names, for everybody who works here (Q5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, func, select

from controller.store.dialect import put
from controller.store.schema import saved_views
from sensor import wire

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_VIEWS: Final = 50
MAX_NAME: Final = 64
MAX_QUERY: Final = 4096


class SavedView(NamedTuple):
    """A view; `query` is what stands after the question mark of its address."""

    name: str
    query: str
    author: str


def all_(connection: Connection) -> list[SavedView]:
    """By name."""
    columns = (saved_views.c.name, saved_views.c.query, saved_views.c.author)
    rows = connection.execute(select(*columns).order_by(saved_views.c.name))
    return [SavedView(*row) for row in rows]


def save(connection: Connection, name: str, query: str, author: str, now: int) -> None:
    """Saves it, in place of one of that name. ValueError: no name, or too much of anything."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or wire.printable(name) != name:
        raise ValueError(f"a view needs a name, of at most {MAX_NAME} characters that can be seen")
    if len(query) > MAX_QUERY:
        raise ValueError(f"the filters of a view have at most {MAX_QUERY} characters")
    others = select(func.count()).select_from(saved_views).where(saved_views.c.name != name)
    if connection.execute(others).scalar_one() >= MAX_VIEWS:
        raise ValueError(f"there are {MAX_VIEWS} views already: remove one")
    put(connection, saved_views, {"name": name, "query": query, "author": author, "saved": now})


def remove(connection: Connection, name: str) -> bool:
    """Removes it; False if there is none of that name."""
    return connection.execute(delete(saved_views).where(saved_views.c.name == name)).rowcount == 1
