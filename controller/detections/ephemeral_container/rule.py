# SPDX-License-Identifier: Apache-2.0
"""A debug container was put into a pod that runs (kubectl debug).

It brings tools of its own, sees the processes of the container that it targets, and stays in the pod until that ends.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit
from controller.exposure import exposures

TITLE = "Debug container in a running pod"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1610", "T1609")
KINDS = frozenset({"record"})

MATCHED = ("request.user", "request.pod", "request.container", "detail", "command", "request.absent")
ACTIONS = frozenset({"debug_container"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the write of ephemeral containers that was let through."""
    if event["action"] != "debug_container":
        return None
    detail, request = event["detail"], event["request"]
    image = f"with image {detail['image']}" if "image" in detail else f"({request['absent']})"
    target = f", beside {detail['target']}" if "target" in detail else ""
    reason = f"a debug container {image} was put into the pod{target}"
    leading = exposures(request["settings"]) if request["settings"] is not None else []
    if leading:
        return Finding(Severity.HIGH, f"{reason}; it {', '.join(each.phrase for each in leading)}", MATCHED)
    return Finding(Severity.MEDIUM, reason, MATCHED)
