# SPDX-License-Identifier: Apache-2.0
"""Somebody came into a container who had never come into one on this host, or in this namespace.

Who it was is the controller's choice by the best evidence there is; one of whom it is not sure is nobody new. A
place that is watched for less than a week is still learning who is usual there.
"""

from __future__ import annotations

from controller.detect.principal import named
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Entry by somebody new"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1609", "T1078")
KINDS = frozenset({"entry", "attempt", "escape"})

MATCHED = ("means", "login", "entered_by.exe", "container.name", "container.pod")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on what opened the visit, once it is known who it was."""
    opened = visit.entry is not None and visit.entry["id"] == event["id"]
    who = visit.principal
    if not opened or event["means"] == "probe" or who is None or not visit.new_in:
        return None
    if who["name"] is None or who["confidence"] not in {"exact", "strong"}:
        return None
    reason = (
        f"{named(who)} had never come into a container {' or '.join(visit.new_in)} before: {who['reason']}"
    )
    return Finding(Severity.LOW if event["kind"] == "attempt" else Severity.MEDIUM, reason, MATCHED)
