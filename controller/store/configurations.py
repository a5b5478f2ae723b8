# SPDX-License-Identifier: Apache-2.0
"""How containers are configured: one row for each time that a sensor told it, and what differed from before.

A difference is kept with its row once it was judged: by whom, and whether that was authorised then. A container
that takes the place of another has the same *slot*: the name on its host, or the service or workload that it is
a copy of.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import and_, delete, or_, select, update

from controller.detect.baseline import workload
from controller.detect.difference import ChangeView, change_text, changes, setting_text
from controller.exposure import exposures
from controller.store.dialect import put
from controller.store.schema import containers, hosts
from controller.store.schema_configurations import configurations
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

    from sensor import wire

__all__ = [
    "ChangeView", "ConfigurationView", "FleetChangeView", "JudgedView", "before", "change_text", "fleet", "judged",
    "list_", "setting_text", "slot", "spent", "take", "verdict", "whole",
]  # fmt: skip

MAX_KEPT: Final = 100
"""Configurations kept of one container; the oldest give way. Their events stay as long as all events do."""
MAX_BEFORE: Final = 20
"""Containers of one slot that are looked at for the one whose place was taken."""

_t = configurations


class JudgedView(TypedDict):
    """What is said of a difference, as it was known when it came."""

    principal: wire.Principal
    authorised: bool
    by: str | None
    """"approval", "principal" or "label"."""
    reason: str
    """By what it was authorised, or why not."""
    replaces: str | None
    """Id of the container whose place it took."""
    changes: list[ChangeView]
    summary: str
    """What differs in one line, bounded and printable."""
    who: str
    """The principal as a sentence names it."""
    client: str


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
    told: list[str]
    """What its runtime said was done to it."""
    changes: list[ChangeView]
    """Against the one before, or against the container whose place it took; empty for the first that is known."""
    replaces: str | None
    principal: wire.Principal | None
    """By whom, where something differs and it was judged; as the three below."""
    authorised: bool | None
    authorised_by: str | None
    authority: str | None


class FleetChangeView(TypedDict):
    """One difference of the fleet."""

    time: str
    time_ns: int
    host: str
    host_id: str
    container: str
    name: str | None
    replaces: str | None
    changes: list[ChangeView]
    principal: wire.Principal
    authorised: bool
    authorised_by: str | None
    authority: str


class Before(TypedDict):
    """The configuration that one is compared with."""

    settings: Mapping[str, Any]
    replaces: str | None
    time: int
    """When the latest was told of it, or of what it is compared with."""


def take(connection: Connection, host: str, event: Mapping[str, Any]) -> None:
    """Keeps what one `configuration` event tells. May be called again for the same event."""
    container = event["container"]["id"]
    if container is None:
        return
    body = {name: event[name] for name in ("because", "settings", "missing")}
    row = {
        "id": event["id"],
        "host": host,
        "container": container,
        "time": event["time"],
        "mono": event["mono"],
        "body": {**body, "whole": whole(event), "told": event.get("told") or []},
        "slot": slot(event["container"]),
    }
    put(connection, _t, row)
    mine = and_(_t.c.host == host, _t.c.container == container)
    oldest = select(_t.c.id).where(mine).order_by(_t.c.time.desc(), _t.c.id).offset(MAX_KEPT)
    surplus = list(connection.execute(oldest).scalars())
    if surplus:
        connection.execute(delete(_t).where(_t.c.id.in_(surplus)))


def whole(event: Mapping[str, Any]) -> dict[str, Any]:
    """All that can differ: the settings, and what the container and its image are called."""
    container = event["container"]
    return {**event["settings"], "name": container["name"], "image": container["image"]}


def slot(container: Mapping[str, Any]) -> str | None:
    """What stays the same from a container to the one that takes its place; None of a pod's sandbox."""
    if container["pod"] and not container["name"]:
        return None
    named = workload(container)
    if named is not None:
        return f"workload {named}"[:520]
    return f"{container['runtime']} {container['name']}"[:520] if container["name"] else None


def before(connection: Connection, host: str, event: Mapping[str, Any]) -> Before | None:
    """What the configuration that `event` tells is to be compared with; None where it is the first of its kind.

    Of a workload several run side by side, perhaps on other hosts of the cluster: where one of them is configured
    just so, nothing has changed.
    """
    container, earlier = event["container"], _t.c.time < event["time"]
    mine = and_(_t.c.host == host, _t.c.container == container["id"], earlier)
    latest = select(_t.c.body, _t.c.time).where(mine).order_by(_t.c.time.desc(), _t.c.id.desc()).limit(1)
    own = connection.execute(latest).mappings().one_or_none()
    if own is not None:
        return Before(settings=_whole(own), replaces=None, time=own["time"])
    place = slot(container)
    if place is None:
        return None
    others = _others(connection, host, container, place, event["time"])
    if not others:
        return None
    now = whole(event)
    found = [Before(settings=_whole(each), replaces=each["container"], time=each["time"]) for each in others]
    running = [each for each, row in zip(found, others, strict=True) if row["stopped"] is None]
    alike = (each for each in running if not changes(each["settings"], now, replaced=True))
    return next(alike, found[0])


def _others(
    connection: Connection, host: str, container: Mapping[str, Any], place: str, time: int
) -> list[RowMapping]:
    """The latest configuration of each other container of the slot, the latest first."""
    here: Any = _t.c.host == host
    if container["pod"]:
        cluster = select(hosts.c.cluster).where(hosts.c.id == host).scalar_subquery()
        here = or_(here, _t.c.host.in_(select(hosts.c.id).where(hosts.c.cluster == cluster)))
    of_it = and_(containers.c.host == _t.c.host, containers.c.id == _t.c.container)
    query = (
        select(_t.c.container, _t.c.body, _t.c.time, containers.c.stopped)
        .join(containers, of_it)
        .where(here, _t.c.slot == place, _t.c.container != container["id"], _t.c.time < time)
        .order_by(_t.c.time.desc(), _t.c.id.desc())
        .limit(MAX_BEFORE)
    )
    latest: dict[str, RowMapping] = {}
    for row in connection.execute(query).mappings():
        latest.setdefault(row["container"], row)
    return list(latest.values())


def spent(connection: Connection, host: str, container: str) -> set[str]:
    """Clients whose commands made earlier changes of a container."""
    mine = and_(_t.c.host == host, _t.c.container == container, _t.c.change.is_not(None))
    query = select(_t.c.change).where(mine).order_by(_t.c.time.desc()).limit(MAX_BEFORE)
    return {each["client"] for each in connection.execute(query).scalars() if each["client"]}


def judged(connection: Connection, event_id: str, change: JudgedView | None) -> None:
    """Keeps what is said of the difference that an event told; None: nothing differs."""
    connection.execute(update(_t).where(_t.c.id == event_id).values(change=change))


def verdict(connection: Connection, event_id: str) -> JudgedView | None:
    """What was said of it before."""
    found: JudgedView | None = connection.execute(
        select(_t.c.change).where(_t.c.id == event_id)
    ).scalar_one_or_none()
    return found


def list_(connection: Connection, host: str, container: str) -> list[ConfigurationView]:
    """Those of one container, the latest first. `host` and `container` are ids."""
    mine = and_(_t.c.host == host, _t.c.container == container)
    rows = connection.execute(select(_t).where(mine).order_by(_t.c.time.desc(), _t.c.id)).mappings().all()
    views = [_view(row) for row in rows]
    for later, (row, earlier) in zip(views, pairwise(rows), strict=False):
        if row["change"] is None:
            later["changes"] = changes(_whole(earlier), _whole(row))
    return views


def fleet(connection: Connection, host: str | None, limit: int) -> list[FleetChangeView]:
    """The differences of the fleet, or of one host by name or id, the latest first."""
    query = (
        select(_t, hosts.c.name.label("host_name"))
        .join(hosts, hosts.c.id == _t.c.host)
        .where(_t.c.change.is_not(None))
        .order_by(_t.c.time.desc(), _t.c.id)
        .limit(limit)
    )
    if host is not None:
        query = query.where(or_(hosts.c.id == host, hosts.c.name == host))
    return [_fleet_view(row) for row in connection.execute(query).mappings()]


def _whole(row: RowMapping) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row["body"].get("whole") or row["body"]["settings"]
    return found


def _view(row: RowMapping) -> ConfigurationView:
    body, change = row["body"], row["change"]
    return ConfigurationView(
        time=rfc3339(row["time"]),
        time_ns=row["time"],
        because=body["because"],
        settings=body["settings"],
        missing=body["missing"],
        exposures=[found.phrase for found in exposures(body["settings"])],
        told=body.get("told", []),
        changes=change["changes"] if change else [],
        replaces=change["replaces"] if change else None,
        principal=change["principal"] if change else None,
        authorised=change["authorised"] if change else None,
        authorised_by=change["by"] if change else None,
        authority=change["reason"] if change else None,
    )


def _fleet_view(row: RowMapping) -> FleetChangeView:
    change = row["change"]
    return FleetChangeView(
        time=rfc3339(row["time"]),
        time_ns=row["time"],
        host=row["host_name"],
        host_id=row["host"],
        container=row["container"],
        name=_whole(row).get("name"),
        replaces=change["replaces"],
        changes=change["changes"],
        principal=change["principal"],
        authorised=change["authorised"],
        authorised_by=change["by"],
        authority=change["reason"],
    )
