# SPDX-License-Identifier: Apache-2.0
"""Rights were given by which somebody comes into containers: a role was written, or bound to somebody.

Exec, attach, port-forward, debug containers, nodes/proxy, everything, or the right to become somebody who may.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Grant of rights to enter containers"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1098.006",)
KINDS = frozenset({"record"})

MATCHED = ("request.user", "request.name", "request.role", "request.subjects", "request.grants")
EVERYBODY = ("Group/system:authenticated", "Group/system:unauthenticated", "User/system:anonymous")
ITSELF = "system:apiserver"


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on a write that was let through. What the API server makes when it starts is not news."""
    request = event["request"] if event["action"] == "grant" else None
    if request is None or not request["grants"] or request["user"] == ITSELF or not request["code"]:
        return None
    allows = f"{request['role']} allows {', '.join(request['grants'][:4])}"
    if not request["subjects"]:
        grave = Severity.HIGH if "* *" in request["grants"] else Severity.MEDIUM
        return Finding(grave, f"a role was written: {allows}", MATCHED)
    reason = f"{', '.join(request['subjects'][:3])} was given {request['role']}, which allows {request['grants'][0]}"
    if any(each in request["subjects"] for each in EVERYBODY):
        return Finding(Severity.CRITICAL, f"{reason}; that is everybody", MATCHED)
    return Finding(Severity.HIGH if "* *" in request["grants"] else Severity.MEDIUM, reason, MATCHED)
