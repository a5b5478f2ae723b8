# SPDX-License-Identifier: Apache-2.0
"""What the events of a batch say of containers, added to what is known of them: of each field the latest known value.

A row's `body` holds the fields and, in "at", the sequence of the event that each came with: without it a late event
would overwrite what is newer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from controller.store import addresses
from controller.store.dialect import put_all
from controller.store.schema import containers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

Key = tuple[str, str]
"""Ids of the host and of the container."""
_KNOWN: Final = select(containers).where(containers.c.id.in_(bindparam("ids", expanding=True)))
CHUNK: Final = 500


class ContainerRows:
    """The rows of the containers that a batch is about: `load` them, `see` what was told, `write` them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[Key, dict[str, Any]] = {}
        self._seen: set[Key] = set()
        self._moved: set[Key] = set()
        """Those that have other addresses than before."""

    def load(self, keys: Iterable[Key]) -> None:
        """Reads what is known of them by now."""
        wanted = set(keys)
        ids = sorted({each for _, each in wanted})
        for first in range(0, len(ids), CHUNK):
            rows = self._connection.execute(_KNOWN, {"ids": ids[first : first + CHUNK]}).mappings()
            found = {(row["host"], row["id"]): dict(row) for row in rows}
            self._rows |= {key: row for key, row in found.items() if key in wanted}

    def see(
        self,
        host: str,
        container: Mapping[str, Any],
        at: int,
        time: int,
        change: tuple[str, int] | None = None,
    ) -> None:
        """Adds what an event of sequence `at` says; one that is started again (`change`) has not stopped."""
        if container["id"] is None:
            return
        key = (host, container["id"])
        row = self._rows.get(key)
        body = row["body"] if row else {"at": {}, "fields": {}, "moments": {}}
        before = body["fields"].get("addresses")
        for name, value in container.items():
            known = value is not None and value not in ("unknown", {})
            if at >= body["at"].get(name, -1) and (known or name not in body["at"]):
                body["fields"][name] = value
                if known:
                    body["at"][name] = at
        if change is not None and change[1] >= body["at"].get(change[0], -1):
            body["at"][change[0]], body["moments"][change[0]] = change[1], time
        if body["fields"].get("addresses") != before:
            self._moved.add(key)
        running = body["at"].get("started", -1) > body["at"].get("stopped", -1)
        self._seen.add(key)
        self._rows[key] = {
            "host": host,
            "id": container["id"],
            "name": text(body["fields"]["name"]),
            "image": text(body["fields"]["image"]),
            "runtime": body["fields"]["runtime"],
            "first_seen": min(row["first_seen"], time) if row else time,
            "last_seen": max(row["last_seen"], time) if row else time,
            "started": body["moments"].get("started"),
            "stopped": None if running else body["moments"].get("stopped"),
            "body": body,
        }

    def write(self) -> None:
        """Keeps what was seen."""
        put_all(self._connection, containers, [self._rows[key] for key in sorted(self._seen)])
        self._seen.clear()
        for host, container in sorted(self._moved):
            has = self._rows[host, container]["body"]["fields"]["addresses"]
            addresses.take(self._connection, host, container, has)
        self._moved.clear()


def text(value: str | None) -> str | None:
    """A text as a column of its own can hold it: PostgreSQL's cannot hold NUL, which JSON escapes."""
    return None if value is None else value.replace("\0", "\\x00")
