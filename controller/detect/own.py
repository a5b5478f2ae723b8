# SPDX-License-Identifier: Apache-2.0
"""What containers do of themselves, against what is normal for them: judged first, then learned or put aside.

A trait that already waits for a person's word is not told again: the counts of an activity come every few seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from controller.detect.alerts import NO_ENTRY, subject, title
from controller.detect.baseline import Normal, of_activity, subjects
from controller.detect.sentence import container_name
from controller.store import baselines
from controller.store.alert_rows import NewAlert
from controller.store.schema import containers
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.rule import Event

CACHED: Final = 256
"""Containers whose normal is held in memory."""
MAX_WHAT: Final = 160


class Own:
    """What is normal for the containers that act now."""

    def __init__(self) -> None:
        self._by_container: OrderedDict[tuple[str, str], tuple[int, Normal]] = OrderedDict()

    def forget(self) -> None:
        """Drops all that is held: a transaction that failed may have made it wrong."""
        self._by_container.clear()

    def known(self, connection: Connection, host: str, event: Event) -> Event:
        """The activity with its container, as the store has that."""
        return {**event, "container": _container(connection, host, event["container_id"])}

    def normal(self, connection: Connection, host: str, event: Event, now: int) -> Normal:
        """What is normal for the container of an activity that is `known`, without what waits already."""
        key, changed = (host, event["container_id"]), baselines.changed(connection)
        kept = self._by_container.pop(key, None)
        # Of a container that has just begun, its image may not be known yet.
        if kept is None or kept[0] != changed or not kept[1].subjects or "learning" in kept[1].states:
            named = subjects(event["container"])
            kept = (changed, baselines.normal(connection, named, now))
        self._by_container[key] = kept
        if len(self._by_container) > CACHED:
            self._by_container.popitem(last=False)
        normal = kept[1]
        told = baselines.waiting(connection, normal.subjects, of_activity(event))
        return replace(normal, traits=normal.traits | told) if told else normal

    def learn(self, connection: Connection, normal: Normal, event: Event, now: int) -> None:
        """Takes the activity in: learned where that goes on, else put aside for a person."""
        new = [each for each in of_activity(event) if each not in normal.traits]
        if new and normal.subjects:
            baselines.observe(connection, normal.subjects, new, event["container_id"], now)


def describe(
    since: int | None,
    host: str,
    host_name: str,
    event: Event,
    found: tuple[Sequence[Raised], Mapping[str, str]],
) -> NewAlert:
    """The alert of a container that did what it never did; as `alerts.describe_alone`."""
    container = event["container"]
    return NewAlert(
        session=subject(host, event),
        host=host,
        title=title(*found, container_name(container)),
        sentence=sentence(host_name, event),
        means=NO_ENTRY,
        container=container["id"],
        container_name=container["name"],
        image=container["image"],
        user=None,
        first_seen=event["time"] if since is None else min(since, event["time"]),
        last_seen=event["time"],
        events=1,
    )


def sentence(host: str, event: Event) -> str:
    """What it did, in words for any terminal."""
    if event["what"] == "exec":
        did = f"ran {' '.join(event['argv'] or [event['exe'] or event['filename'] or 'a program'])}"
    else:
        did = f"connected to {event['address']} port {event['port']}"
    who = f"container {container_name(event['container'])}"
    return f"{who} on {printable(host)[:64]} {printable(did)[:MAX_WHAT]} of itself; nobody was seen to enter for it"


def _container(connection: Connection, host: str, container: str) -> Mapping[str, Any]:
    query = select(containers.c.body).where(containers.c.host == host, containers.c.id == container)
    body = connection.execute(query).scalar_one_or_none()
    fields: Mapping[str, Any] = body["fields"] if body else {"name": None, "image": None}
    return {**fields, "id": container}
