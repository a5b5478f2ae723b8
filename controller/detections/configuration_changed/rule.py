# SPDX-License-Identifier: Apache-2.0
"""A container was changed, or replaced by one configured otherwise, and nothing authorises it.

What authorises is an approval window, the list AuthorizedAdminUsers, or a label of DeployedByLabels: the judgement
is made where the difference is kept, `controller.detect.changes`. An authorised change is kept and shown.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit
from controller.exposure import exposures

TITLE = "Configuration changed without authorisation"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1610",)
KINDS = frozenset({"configuration"})

USUAL = frozenset({"cpus", "memory", "name", "pids", "restart", "runtime"})
"""Settings that neither open anything nor change what runs."""


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires once for all that differs: high where a new way to the host is among it, low where it is limits alone."""
    change = visit.change
    if change is None or change["authorised"]:
        return None
    names = [each["setting"] for each in change["changes"]]
    matched = tuple(f"settings.{name}" for name in names if name in event["settings"])
    before = {each["setting"]: each["before"] for each in change["changes"]}
    ways = {each.phrase for each in exposures(event["settings"] | before)}
    found = [
        each for each in exposures(event["settings"]) if each.phrase not in ways and each.nearness != "weak"
    ]
    reason = f"{change['summary']}; by {change['who']}; {change['reason']}"
    if found:
        return Finding(Severity.HIGH, f"it now {', '.join(each.phrase for each in found)}: {reason}", matched)
    return Finding(Severity.LOW if set(names) <= USUAL else Severity.MEDIUM, reason, matched)
