# SPDX-License-Identifier: Apache-2.0
"""How containers are configured: one row for each time that a sensor told it, and what differed from before."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import and_, delete, select

from controller.exposure import exposures
from controller.store.dialect import put
from controller.store.schema import configurations
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from sensor import wire

MAX_KEPT: Final = 100
"""Configurations kept of one container; the oldest give way. Their events stay as long as all events do."""

_t = configurations


class ChangeView(TypedDict):
    """One setting that differs from the configuration before."""

    setting: str
    before: Any
    after: Any


class ConfigurationView(TypedDict):
    """How a container was configured from a moment on."""

    time: str
    time_ns: int
    because: str
    """"start", "found" (the sensor began later than the container), "changed"."""
    settings: wire.Settings
    missing: dict[str, str]
    exposures: list[str]
    """What of it gives whoever is inside a way to the host, one phrase each."""
    changes: list[ChangeView]
    """Against the one before; empty for the first that is known."""


def take(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Keeps what one `configuration` event tells. May be called again for the same event."""
    container = event["container"]["id"]
    if container is None:
        return
    row = {
        "id": event["id"],
        "host": host,
        "container": container,
        "time": event["time"],
        "mono": event["mono"],
        "body": {name: event[name] for name in ("because", "settings", "missing")},
    }
    put(connection, _t, row)
    mine = and_(_t.c.host == host, _t.c.container == container)
    oldest = select(_t.c.id).where(mine).order_by(_t.c.time.desc(), _t.c.id).offset(MAX_KEPT)
    surplus = list(connection.execute(oldest).scalars())
    if surplus:
        connection.execute(delete(_t).where(_t.c.id.in_(surplus)))


def list_(connection: Connection, host: str, container: str) -> list[ConfigurationView]:
    """Those of one container, the latest first. `host` and `container` are ids."""
    mine = and_(_t.c.host == host, _t.c.container == container)
    rows = connection.execute(select(_t).where(mine).order_by(_t.c.time.desc(), _t.c.id)).mappings().all()
    views = [_view(row["time"], row["body"]) for row in rows]
    for later, earlier in pairwise(views):
        later["changes"] = changes(earlier["settings"], later["settings"])
    return views


def changes(before: wire.Settings, after: wire.Settings) -> list[ChangeView]:
    """What differs. A setting that either does not know has not changed, as far as anybody can say."""
    return [
        ChangeView(setting=name, before=value, after=after.get(name))
        for name, value in before.items()
        if value is not None and after.get(name) is not None and value != after.get(name)
    ]


def setting_text(value: object, name: str) -> str:
    """A setting in one line, as a person reads it; not escaped. Unknown is said as unknown, nothing as none."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _limit(value, name)
    words = value if isinstance(value, list) else [value]
    return ", ".join(_word(word) for word in words) or "none"


def _limit(value: int, name: str) -> str:
    if value == 0:
        return "no limit"
    return {"memory": f"{value / 2**20:g} MiB", "cpus": f"{value / 10**9:g}"}.get(name, str(value))


def _word(word: object) -> str:
    if isinstance(word, dict):  # a wire.Mount
        return f"{word['source']} at {word['target']}{'' if word['writable'] else ' (read-only)'}"
    return str(word)


def _view(time: int, body: Mapping[str, Any]) -> ConfigurationView:
    return ConfigurationView(
        time=rfc3339(time),
        time_ns=time,
        because=body["because"],
        settings=body["settings"],
        missing=body["missing"],
        exposures=[found.phrase for found in exposures(body["settings"])],
        changes=[],
    )
