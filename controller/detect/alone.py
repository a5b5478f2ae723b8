# SPDX-License-Identifier: Apache-2.0
"""Records by which no visit stands: files copied, a console attached, an exec of which nothing was seen.

Their alert is the container's, one for each detection that fires on such: a hundred copies are one alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from controller.detect import alerts
from controller.detect.sentence import container_name, told
from controller.store import containers, records, unseen_requests
from controller.store.alert_rows import NewAlert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.rule import Event

WITHOUT_ENTRY: Final = "record_without_entry"
"""The detection whose finding is taken back when the entry comes after all."""
TELLING: Final = frozenset({"copy_in", "copy_out", "attach"})
"""Actions that leave nothing in the kernel that would be a visit."""
_UNKNOWN: Final[dict[str, Any]] = {"confidence": "none", "source": None, "exec_id": None, "cause": None}


def as_it_comes(connection: Connection, host: str, event: Event) -> dict[str, Any] | None:
    """What is known of a record when it comes, as `Visit.record`; None where it is not judged by itself."""
    if event["action"] not in TELLING or event["container_id"] is None:
        return None
    running = records.ran_before(connection, host, event)
    return {**_UNKNOWN, "status": "running" if running else "told", "reason": ""}


def without_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a record whose entry did not come in time, by its row of `unseen`."""
    return _UNKNOWN | {name: row[name] for name in ("status", "cause", "reason", "source", "exec_id")}


def named(connection: Connection, host: str, event: Event) -> Event:
    """The record with its container, as far as that is known."""
    container: dict[str, Any] = dict.fromkeys(("name", "image", "pod"))
    container |= {"id": event["container_id"], "runtime": event["source"], "labels": {}}
    if event["container_id"] is None:
        container |= {"name": about(event), "runtime": "unknown"}
        return {**event, "container": container}
    container |= {name: event["detail"].get(name) for name in ("name", "image")}
    shown = containers.show(connection, event["container_id"], host)
    if shown is not None:
        known = {name: shown[name] for name in container}  # type: ignore[literal-required]
        container |= {name: value for name, value in known.items() if value is not None}
    return {**event, "container": container}


def about(event: Event) -> str:
    """What it happened to: the container's id; of a request to an API server the pod, with its namespace."""
    return str(event["container_id"] or (records.pod(event) or "?")[: unseen_requests.MAX_POD])


def subject(host: str, container: str, detection: str = "") -> str:
    """What an alert is about. It stands where an alert of a visit has the session."""
    return f"{host}/records/{container}/{detection}"


def describe(
    known: Mapping[str, Any],
    since: int | None,
    host: str,
    host_name: str,
    event: Event,
    found: tuple[Sequence[Raised], Mapping[str, str]],
) -> NewAlert:
    """The alert, as its latest record makes it. `found`: findings of one detection, and titles by detection."""
    container = event["container"]
    return NewAlert(
        session=subject(host, about(event), found[0][0].detection),
        host=host,
        title=alerts.title(*found, container_name(container)),
        sentence=told(host_name, event, container, known),
        means=alerts.NO_ENTRY,
        container=container["id"],
        container_name=container["name"],
        image=container["image"],
        user=None,
        first_seen=event["time"] if since is None else min(since, event["time"]),
        last_seen=event["time"],
        events=1,
    )
