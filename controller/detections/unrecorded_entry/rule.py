# SPDX-License-Identifier: Apache-2.0
"""Somebody came into a container, and nobody who should know of it was told.

The kernel saw the entry; the runtime's own events, which were read at that time, have no such exec. Gravest where
the way in looks like a runtime's exec: then the runtime's log was gone round. High for the runtime's binary run
by itself, past its daemon. A join without any runtime has no record by its nature: medium, for a detection of its
own is about that.
"""

from __future__ import annotations

from controller.detect.rule import ADMIN_MEANS, Event, Finding, Severity, Visit

TITLE = "Entry without a record"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1609", "T1562")
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "exec_id", "entered_by.exe", "entered_by.argv", "login")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the entry or the attempt, once the verdict on its record is in."""
    if visit.record is None:
        return None
    if visit.record["status"] != "unrecorded":
        return None
    reason = f"the kernel saw it and there is no record: {visit.record['reason']}"
    if event["means"] not in ADMIN_MEANS:
        return Finding(Severity.MEDIUM, reason, MATCHED)
    if event["kind"] == "attempt":
        return Finding(Severity.MEDIUM, f"{reason}; but it executed nothing", MATCHED)
    if event["means"] == "runc-exec":
        return Finding(Severity.HIGH, reason, MATCHED)
    return Finding(Severity.CRITICAL, reason, MATCHED)
