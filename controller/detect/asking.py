# SPDX-License-Identifier: Apache-2.0
"""Alerts about what an API server was asked, where nobody need have come in: a grant, a pod, a refusal.

One alert for each thing that was asked about: a pod, or what makes it, a role or binding, a user who is refused.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from controller.detect.alerts import NO_ENTRY, title
from controller.exposure import exposures
from controller.store.alert_rows import NewAlert
from controller.store.records_schema import records
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.rule import Event

BEFORE_NS: Final = 600 * 10**9
"""How far back a user's refused requests are looked at."""
MAX_BEFORE: Final = 100
MAX_ROLES: Final = 1000
"""How many writes of roles and bindings are looked through for a role that is bound."""
_DECISIVE: Final = ("ResponseStarted", "ResponseComplete", "Panic")
_NEARNESS: Final = ("host", "part", "weak")
_DOES: Final = {
    "exec": "asked for an exec in",
    "attach": "attached to",
    "port_forward": "forwarded a port of",
    "node_proxy": "asked the kubelet by nodes/proxy for",
    "debug_container": "put a debug container into",
    "pod_create": "created",
    "workload_write": "wrote",
    "grant": "wrote",
    "role_write": "wrote",
    "rbac_delete": "removed",
}


def speaks(connection: Connection, event: Event) -> bool:
    """Whether it is the first that tells how a request was answered, by whichever source: that one is judged."""
    request = event.get("request")
    if request is None or request["stage"] not in _DECISIVE:
        return False
    query = select(records.c.key, records.c.body).where(records.c.request == request["id"]).limit(16)
    answered = [body for _, body in connection.execute(query) if body["request"]["stage"] in _DECISIVE]
    others = [each for each in answered if each["id"] != event["id"]]
    return not any((each["request"]["said"], each["id"]) < (request["said"], event["id"]) for each in others)


def subject(host: str, event: Event) -> str:
    """What the alert is about. It stands where an alert of a visit has the session."""
    request = event["request"]
    if event["action"].endswith(("_denied", "_failed")):
        about = ("user", request["user"])
    else:
        name = (event["detail"].get("owner") or request["pod"] or request["name"] or "").rstrip("-")
        kind = "pod" if request["pod"] or event["action"] == "workload_write" else request["resource"]
        about = (kind, f"{request['namespace'] or ''}/{name}")
    digest = blake2b("\0".join(about).encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()
    return f"{host}/kubernetes/{digest}"


def known(connection: Connection, host: str, event: Event) -> Event:
    """The event; of a binding with what its role allows, where the role was told of when it was written."""
    request = event["request"]
    if event["action"] != "grant" or not request["subjects"] or request["grants"]:
        return event
    told = (records.c.host == host) & (records.c.action == "grant")
    query = (
        select(records.c.body).where(told, records.c.time <= event["time"]).order_by(records.c.time.desc())
    )
    for body in connection.execute(query.limit(MAX_ROLES)).scalars():
        role, where = body["request"], body["request"]["namespace"]
        if role["role"] == request["role"] and not role["subjects"] and where in {None, request["namespace"]}:
            return {**event, "request": {**request, "grants": role["grants"]}}
    return event


def refused_before(connection: Connection, event: Event) -> tuple[Event, ...]:
    """What the same user was refused shortly before, in order, each request once."""
    request = event.get("request")
    if request is None or not event["action"].endswith("_denied"):
        return ()
    mine = (records.c.user == request["user"]) & records.c.action.endswith("_denied")
    near = records.c.time.between(event["time"] - BEFORE_NS, event["time"])
    query = select(records.c.body).where(mine, near).order_by(records.c.time.desc()).limit(MAX_BEFORE)
    found: dict[str, Event] = {}
    for body in connection.execute(query).scalars():
        if body["request"]["id"] != request["id"]:
            found.setdefault(body["request"]["id"], body)
    return tuple(sorted(found.values(), key=lambda body: (body["time"], body["id"])))


def describe(
    since: int | None,
    host: str,
    host_name: str,
    event: Event,
    found: tuple[Sequence[Raised], Mapping[str, str]],
) -> NewAlert:
    """The alert, as its latest event makes it; as `alerts.describe_alone`."""
    request = event["request"]
    refused = event["action"].endswith(("_denied", "_failed"))
    about = request["user"] if refused else _about(event)
    return NewAlert(
        session=subject(host, event),
        host=host,
        title=title(*found, printable(about)[:160]),
        sentence=sentence(host_name, event),
        means=NO_ENTRY,
        container=None,
        container_name=None if refused else request["pod"] and printable(request["pod"])[:160],
        image=event["detail"].get("image"),
        user=printable(request["user"])[:256],
        first_seen=event["time"] if since is None else min(since, event["time"]),
        last_seen=event["time"],
        events=1,
    )


def sentence(cluster: str, event: Event) -> str:
    """Who asked which API server for what, and how it was answered."""
    request = event["request"]
    name = event["action"].removesuffix("_denied").removesuffix("_failed")
    name = next((each for each in _DOES if name.startswith(each)), name)
    refused = {"_denied": "was refused: he ", "_failed": "was answered an error: he "}
    how = next((text for end, text in refused.items() if event["action"].endswith(end)), "")
    whom = f" as {request['impersonated']}" if request["impersonated"] else ""
    source = f" from {request['addresses'][0]}" if request["addresses"] else ""
    ran = f", ran {event['command']}" if event["command"] else ""
    more = f" ({request['absent']})" if request["absent"] else ""
    if request["settings"] is not None:
        gravest = sorted(exposures(request["settings"]), key=lambda each: _NEARNESS.index(each.nearness))
        more = f": it {', '.join(each.phrase for each in gravest[:3])}"
    if request["role"] and (request["subjects"] or request["grants"]):
        given = (
            f" gives {request['role']} to {', '.join(request['subjects'][:3])}" if request["subjects"] else ""
        )
        more = f": it{given or ' allows ' + ', '.join(request['grants'][:3])}{more}"
    what = f"{_DOES.get(name, name)} {_about(event)}{ran}"
    text = f"{request['user']}{whom}{source} {how}{what} on cluster {cluster}{more}"
    return printable(text)[:600]


def _about(event: Event) -> str:
    request = event["request"]
    kind = "pod" if request["pod"] else request["resource"].partition("/")[0].removesuffix("s")
    name = request["pod"] or request["name"] or "?"
    where = f"{request['namespace']}/" if request["namespace"] else ""
    return printable(f"{kind} {where}{name}")[:200]
