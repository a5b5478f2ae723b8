# SPDX-License-Identifier: Apache-2.0
"""An API server let somebody make a pod that leads to the host: privileged, its namespaces, its files.

Known before a node has it, and with the name of who asked. What then runs is seen on the node: risky_start.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit
from controller.exposure import exposures

TITLE = "Pod with a way to the host asked for"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1610", "T1611")
KINDS = frozenset({"record"})

MATCHED = ("request.user", "request.namespace", "request.name", "request.settings", "detail")
ACTIONS = frozenset({"pod_create", "workload_write"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on a pod, or what makes pods. A pod that was made by such a thing is no news: that thing was."""
    if event["action"] not in {"pod_create", "workload_write"} or "owner" in event["detail"]:
        return None
    settings = event["request"]["settings"]
    found = exposures(settings) if settings is not None else []
    if not found or event["request"]["code"] is None:
        return None
    nearness = {each.nearness for each in found}
    severity = (
        Severity.HIGH if "host" in nearness else Severity.MEDIUM if "part" in nearness else Severity.LOW
    )
    return Finding(severity, f"the pod {', '.join(each.phrase for each in found)}", MATCHED)
