# SPDX-License-Identifier: Apache-2.0
"""Somebody attached to the console of a container that ran already: `docker attach`, `podman attach`.

No process enters: whoever attaches speaks with the container's first process through the runtime. Where that is a
shell, it is a session all the same. Only the runtime's record tells.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Attached to a running container"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1609",)
KINDS = frozenset({"record"})

MATCHED = ("source", "action", "place", "owner")
ACTIONS = frozenset({"attach"})


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the record, unless the container was only about to start: `docker run` attaches first."""
    if event["action"] != "attach" or visit.record is None or visit.record["status"] != "running":
        return None
    return Finding(
        Severity.MEDIUM, f"{event['source']} told that somebody attached to its first process", MATCHED
    )
