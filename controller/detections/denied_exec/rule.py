# SPDX-License-Identifier: Apache-2.0
"""Somebody tries to enter containers and is refused by the API server, again and again.

Once is a mistake. Several within ten minutes is somebody who looks for a pod, a way or a name by which he may.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Repeated refused attempts to enter containers"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1609", "T1613")
KINDS = frozenset({"record"})

MATCHED = ("request.user", "request.addresses", "request.pod", "request.code", "request.reason", "action")
ENTERING = ("exec", "attach", "port_forward", "node_proxy", "debug_container")
SEVERAL = 3
MANY = 10
SECOND = 1_000_000_000


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the third within ten minutes. kubectl asks twice for each, by WebSocket and then by POST."""
    if not _entering(event):
        return None
    tries: list[Event] = []
    for each in (*visit.earlier, event):
        again = tries and each["time"] - tries[-1]["time"] < SECOND and _what(each) == _what(tries[-1])
        if _entering(each) and not again:
            tries.append(each)
    if len(tries) < SEVERAL:
        return None
    pods = {_what(each)[1:3] for each in tries}
    reason = (
        f"{event['request']['user']} was refused {len(tries)} times within ten minutes, in {len(pods)} pods"
    )
    return Finding(Severity.HIGH if len(tries) >= MANY else Severity.MEDIUM, reason, MATCHED)


def _entering(event: Event) -> bool:
    return event["action"] in {f"{name}_denied" for name in ENTERING}


def _what(event: Event) -> tuple[object, ...]:
    request = event["request"]
    return (event["action"], request["namespace"], request["pod"], request["container"], event["command"])
