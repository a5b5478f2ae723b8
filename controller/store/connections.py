# SPDX-License-Identifier: Apache-2.0
"""What a visit did on the network, for people and programs: its connections, datagrams, listeners, daemons' sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from controller.detect import destinations
from controller.store import addresses
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from controller.store.addresses import HolderView


MAX_NAMED = 200
"""Places of one visit whose holders are looked for: a scan has thousands."""


class ConnectionView(TypedDict):
    """What one program of a visit did towards one place, the first time and how often."""

    event: str
    """The first event that tells of it."""
    time: str
    time_ns: int
    what: str
    """"connect", "send", "listen", "streams", or "contact": it connected to a daemon's socket."""
    protocol: str
    """"tcp", "udp", "udplite", "unix", or a number."""
    address: str
    """Of the far end, of who listens its own; of a contact the socket's path."""
    port: int | None
    place: str | None
    """What is known of the far end: "the kubelet's API"."""
    container: HolderView | None
    """Whose the far end's address was, where it is a container's that a sensor knows."""
    pid: int
    comm: str
    exe: str | None
    uid: int
    count: int
    """Datagrams to one place are told once."""
    last: str
    last_ns: int


def of_visit(connection: Connection, host: str, bodies: Iterable[Mapping[str, Any]]) -> list[ConnectionView]:
    """In the order of `bodies`, the events of a session on `host` (an id); what one program did again is counted."""
    made: dict[tuple[Any, ...], ConnectionView] = {}
    files: dict[tuple[int, int], str | None] = {}
    for body in bodies:
        if body["kind"] in {"entry", "command"}:
            files[body["process"]["pid"], body["process"]["start"]] = body["process"]["exe"]
        if body["kind"] not in {"connection", "contact"}:
            continue
        view = _view(body)
        if view["exe"] is None:  # gone before the sensor looked; what it executed was told by the kernel
            view["exe"] = files.get((body["process"]["pid"], body["process"]["start"]))
        key = tuple(view[name] for name in ("what", "protocol", "address", "port", "comm", "exe"))
        known = made.setdefault(key, view)
        if known is not view:
            known["count"] += view["count"]
            known["last"], known["last_ns"] = view["last"], view["last_ns"]
        elif view["what"] not in {"listen", "contact"} and len(made) <= MAX_NAMED:
            seen_by = (host, (body["container"] or {}).get("pod") is not None)
            view["container"] = addresses.holder(connection, view["address"], seen_by, view["time_ns"])
    return list(made.values())


def _view(body: Mapping[str, Any]) -> ConnectionView:
    process, contacts = body["process"], body["kind"] == "contact"
    when = rfc3339(body["time"])
    return {
        "event": body["id"],
        "time": when,
        "time_ns": body["time"],
        "what": "contact" if contacts else body["what"],
        "protocol": "unix" if contacts else body["protocol"],
        "address": body["place"] if contacts else body["address"],
        "port": None if contacts else body["port"],
        "place": f"the socket of {body['runtime']}" if contacts else destinations.label(body),
        "container": None,
        "pid": process["pid"],
        "comm": process["comm"],
        "exe": process["exe"],
        "uid": process["uid"],
        "count": body["count"] if contacts else 1,
        "last": when,
        "last_ns": body["time"],
    }


WORDS = {
    "connect": "connected to",
    "send": "sent to",
    "listen": "listened on",
    "streams": "has its standard streams on",
    "contact": "connected to",
}
"""What was done, as a person says it."""


def far_end(shown: Mapping[str, Any]) -> str:
    """The place in words: "10.0.0.5 port 53/udp"; what is untrusted in it is not escaped yet."""
    if shown["port"] is None:
        return str(shown["address"])
    return f"{shown['address']} port {shown['port']}/{shown['protocol']}"


def known_as(shown: Mapping[str, Any]) -> str | None:
    """What is known of the far end in words: "the kubelet's API, container db on n2"; not escaped yet."""
    holder = shown["container"]
    of = None
    if holder is not None:
        what = "container" if holder["id"] else "pod"
        of = f"{what} {holder['name'] or holder['id'][:12]} on {holder['host']}"
    return ", ".join(each for each in (shown["place"], of) if each) or None
