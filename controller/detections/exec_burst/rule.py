# SPDX-License-Identifier: Apache-2.0
"""One principal came into containers more often than ExecFrequencyThreshold allows.

People debug one container, or a few. Whoever enters many in a short time runs a script: to look for credentials in
all of them, or to do the same to each. Told once for each burst; of visits whose principal is not known, those of
one host are counted together.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Exec burst over many containers"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1613")
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "container.name", "entered_by.argv", "login")
MANY = 3
"""Containers: fewer are one workload that somebody looks at again and again."""


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the visit with which the threshold is reached."""
    if visit.entry is None or visit.entry["id"] != event["id"]:
        return None
    limit, who = visit.knobs.exec_frequency_threshold, visit.who
    same = {"principal": who.name} if who.name else {"principal": None, "host": visit.around.host}
    # Asked first: while a burst goes on, its visits need not be read for each one more.
    if visit.past.found("exec_burst", within=limit.within, **same):
        return None
    seen = visit.past.visits(within=limit.within, **same)
    if len(seen) < limit.visits:
        return None
    containers = {(each.host, each.container) for each in seen}
    by = who.name or "somebody unknown on one host"
    reason = f"{len(seen)} visits to {len(containers)} containers by {by}, where {limit} is the threshold"
    return Finding(Severity.HIGH if len(containers) >= MANY else Severity.MEDIUM, reason, MATCHED)
