# SPDX-License-Identifier: Apache-2.0
"""Whoever came into a container came from an address outside SourceIPRange.

The address is that of the ssh session that the client descends from, or the one that the API server's audit names.
Silent until the ranges are set, and where there is no address: at a console there is none.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Entry from an unusual address"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1078")
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "login", "container.name", "container.pod")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on what opened the visit."""
    if visit.entry is None or visit.entry["id"] != event["id"]:
        return None
    who = visit.who
    if visit.knobs.in_source_range(who.source) is not False:
        return None
    reason = f"{who.name or 'somebody'} came from {who.source}, which is outside SourceIPRange"
    return Finding(Severity.MEDIUM if event["kind"] == "attempt" else Severity.HIGH, reason, MATCHED)
