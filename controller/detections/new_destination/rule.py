# SPDX-License-Identifier: Apache-2.0
"""Somebody came in, and the container goes where its workload never did: the visitor, or it by itself soon after.

Judged by the destinations that the container's image and workload are known for, once both baselines have learned.
"""

from __future__ import annotations

from controller.detect.baseline import Trait, destination
from controller.detect.destinations import is_loopback
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "New destination in or right after a visit"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1095", "T1048", "T1105")
KINDS = frozenset({"activity", "connection"})

MINUTE = 60 * 10**9
RIGHT_AFTER = 15 * MINUTE
ANYWHERE = 200
"""Destinations of a workload that is known to go anywhere, a crawler's or a proxy's: a new one says nothing of it."""
NAMES_PORT = 53


def rule(visit: Visit, event: Event) -> Finding | None:
    """Low where names are asked for: workloads that know addresses alone have not done so yet."""
    if event["what"] not in {"connect", "send"} or event["address"] is None or is_loopback(event["address"]):
        return None
    normal, place = visit.normal, destination(event)
    if not normal.outside(Trait("own", "destination", place)):
        return None
    if len(normal.usual("own", "destination")) >= ANYWHERE:
        return None
    who = _who(visit, event)
    if who is None:
        return None
    severity = Severity.LOW if event["port"] == NAMES_PORT else Severity.MEDIUM
    reason = f"{who} went to {place}, where {' and '.join(normal.subjects)} never did"
    process = (
        ("process.comm", "process.exe", "process.uid") if event["kind"] == "connection" else ("comm", "uid")
    )
    return Finding(severity, reason, ("what", "address", "port", "protocol", *process))


def _who(visit: Visit, event: Event) -> str | None:
    """The visitor; or the container by itself, if somebody was in it just now."""
    if event["kind"] == "connection":
        return (
            None
            if visit.entry is None or visit.means == "probe"
            else f"{event['process']['comm']} of a visit"
        )
    visits = visit.past.visits(within=RIGHT_AFTER, container=event["container_id"])
    if not visits:
        return None
    minutes = (event["first"] - visits[-1].time) // MINUTE
    return f"{event['comm']}, {minutes} min after a visit by {visits[-1].principal or 'somebody unknown'},"
