# SPDX-License-Identifier: Apache-2.0
"""Files were copied into a container or out of it through the runtime: `docker cp`, and whatever asks the same.

No process enters for it, so nothing but the runtime's record tells. Into a container is how tools come in; out of
it is how data leaves. Its record names neither the files nor who asked.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Files copied through the runtime"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1105", "T1048")
KINDS = frozenset({"record"})

MATCHED = ("source", "action", "place", "owner")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on each record of a copy. Into a container that has not run yet, it is how it is made: low."""
    if event["action"] not in {"copy_in", "copy_out"}:
        return None
    if event["action"] == "copy_out":
        return Finding(
            Severity.MEDIUM, f"{event['source']} told of files copied out of the container", MATCHED
        )
    running = visit.record is not None and visit.record["status"] == "running"
    severity, when = (Severity.MEDIUM, "running") if running else (Severity.LOW, "stopped or new")
    return Finding(severity, f"{event['source']} told of files copied into the {when} container", MATCHED)
