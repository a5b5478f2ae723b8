# SPDX-License-Identifier: Apache-2.0
"""A runtime told of an exec, and the sensor on that host saw nobody come in: there we are blind.

Gravest where nothing explains it. What explains it says how to mend it: a container in a sandbox, whose processes
are not the host kernel's; a node that has no sensor, or whose sensor did not run; hooks that did not work; events that
were lost. An exec that failed before a program was executed is no blind spot.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Record without an entry"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1562")
KINDS = frozenset({"record"})

MATCHED = ("source", "action", "exec_id", "command", "place")
_BY_CAUSE = {
    "unexplained": Severity.HIGH,
    "hooks": Severity.HIGH,
    "sensor_down": Severity.MEDIUM,
    "no_sensor": Severity.MEDIUM,
    "lost": Severity.MEDIUM,
    "sandboxed": Severity.MEDIUM,
    "not_started": Severity.LOW,
}


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the record that the exec began, once the time of its entry is up."""
    if visit.record is None or visit.record["status"] != "unseen":
        return None
    reason = f"there is a record and the kernel's side saw no entry: {visit.record['reason']}"
    return Finding(_BY_CAUSE.get(visit.record["cause"], Severity.HIGH), reason, MATCHED)
