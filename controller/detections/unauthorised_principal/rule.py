# SPDX-License-Identifier: Apache-2.0
"""Somebody came into a container who is not among the AuthorizedAdminUsers.

Silent until the list is set, and about whoever is not known: of him other detections tell.
"""

from __future__ import annotations

from controller.detect.rule import ADMIN_MEANS, Event, Finding, Severity, Visit

TITLE = "Entry by somebody not authorised"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1078")
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "login", "entered_by.exe", "container.name", "container.pod")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on what opened the visit: high by an admin command, medium by other ways and where it is not sure who."""
    if visit.entry is None or visit.entry["id"] != event["id"]:
        return None
    who = visit.who
    if visit.knobs.authorised(who) is not False:
        return None
    reason = f"{who.name} ({who.kind}) is not among the AuthorizedAdminUsers"
    if not who.sure:
        return Finding(Severity.MEDIUM, f"{reason}; but that it is {who.name} is not sure", MATCHED)
    if event["kind"] == "attempt" or event["means"] not in ADMIN_MEANS:
        return Finding(Severity.MEDIUM, reason, MATCHED)
    return Finding(Severity.HIGH, reason, MATCHED)
