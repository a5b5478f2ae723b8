# SPDX-License-Identifier: Apache-2.0
"""The hosts and their sensors: who is silent, what was lost, what does not work as it should."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from controller.store import clusters, host_files, hosts
from controller.store.views import rfc3339
from controller.web import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from controller.store.fleet_views import HostView

SILENT_S = 90
"""A sensor speaks at least every 15 s, even when nothing happens; after six times that it is silent."""
CHANGES = 20
"""Changes of its runtimes' files that are shown with a host."""
SKEWED_NS = 5_000_000_000
"""A clock that is further off puts events of several hosts into the wrong order."""


def hosts_page(request: Request) -> Response:
    """All hosts and clusters, those that need somebody first; `?replaced` those too that were enrolled again since."""
    with request.app.state.store.read() as connection:
        every, heard = hosts.list_(connection), clusters.list_(connection)
    replaced = "replaced" in request.query_params
    shown = [host for host in every if replaced or host["replaced_by"] is None]
    rows = [(host, condition(host, time.time_ns())) for host in shown]
    rows.sort(key=lambda row: (_ORDER[row[1]["name"]], row[0]["name"]))
    context = {"rows": rows, "replaced": replaced, "left_out": len(every) - len(shown), "clusters": heard}
    return render.page(request, "hosts.html", context)


def hosts_json(request: Request) -> Response:
    """The same for programs."""
    replaced = "replaced" in request.query_params
    with request.app.state.store.read() as connection:
        found = {"hosts": hosts.list_(connection, replaced=replaced), "clusters": clusters.list_(connection)}
        return render.json_response(found)


def host_page(request: Request) -> Response:
    """One host with all that its sensor tells of itself."""
    host = _load(request)
    beat = host["heartbeat"]
    with request.app.state.store.read() as connection:
        changed = host_files.list_(connection, host["id"], CHANGES)
    context = {
        "changed": changed,
        "host": host,
        "condition": condition(host, time.time_ns()),
        "beat": beat,
        "started": rfc3339(beat["started"]) if beat else None,
    }
    return render.page(request, "host.html", context)


def host_json(request: Request) -> Response:
    """The same for programs."""
    host = _load(request)
    with request.app.state.store.read() as connection:
        changed = host_files.list_(connection, host["id"], CHANGES)
    return render.json_response({**host, "files": changed})


def _load(request: Request) -> HostView:
    with request.app.state.store.read() as connection:
        host = hosts.show(connection, request.path_params["host"])
    if host is None:
        raise HTTPException(404, "There is no host of this id or name, or several have the name.")
    return host


_ORDER = {"silent": 0, "degraded": 1, "losing": 2, "never seen": 3, "well": 4, "revoked": 5, "replaced": 6}


def condition(host: HostView, now: int) -> dict[str, Any]:
    """How a host is, in one word, with sentences that say why."""
    beat = host["heartbeat"]
    if host["revoked_ns"] is not None:
        return _revoked(host)
    if host["last_seen_ns"] is None:
        return {"name": "never seen", "why": ["It was enrolled but has not spoken yet."]}
    why = [*(beat["degraded"] if beat else ()), *host["sources_amiss"]]
    if host["skew_ns"] is not None and abs(host["skew_ns"]) > SKEWED_NS:
        why.append("Its clock is off: the times of its events do not compare with those of other hosts.")
    if now - host["last_seen_ns"] > SILENT_S * 1_000_000_000:
        why.insert(0, "It has not spoken for a while: nobody watches its containers.")
        return {"name": "silent", "why": why}
    if why:
        return {"name": "degraded", "why": why}
    if host["losses"] or host["refused"]:
        return {
            "name": "losing",
            "why": ["Events of this host were lost or refused; its page has the counts."],
        }
    return {"name": "well", "why": []}


def _revoked(host: HostView) -> dict[str, Any]:
    if host["replaced_by"] is not None:
        return {
            "name": "replaced",
            "why": ["Its machine was enrolled again, and is another host here since."],
        }
    return {"name": "revoked", "why": ["Its credential was revoked: nothing is taken from it."]}
