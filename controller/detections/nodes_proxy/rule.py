# SPDX-License-Identifier: Apache-2.0
"""A kubelet was asked, through the API server, to run something in a container: nodes/proxy.

The API server's audit has no exec then, only a request about a node; its path says into which container it leads.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Exec by nodes/proxy"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1562")
KINDS = frozenset({"record", "entry", "attempt"})

MATCHED = ("request.user", "request.node", "request.pod", "request.code", "detail.through", "command")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the request, however it was answered, and on the visit that it is joined with."""
    if event["kind"] != "record":
        request = visit.api["request"] if visit.api is not None else None
        if request is None or request["resource"] != "nodes/proxy":
            return None
        reason = f"{request['user']} asked the kubelet for it by nodes/proxy, which is no exec in the audit"
        return Finding(Severity.HIGH, reason, ("means", "container.pod"))
    if not event["action"].startswith("node_proxy"):
        return None
    way = event["detail"].get("through", "")
    if event["action"].endswith(("_denied", "_failed")):
        return Finding(
            Severity.MEDIUM, f"nodes/proxy was asked for the kubelet's /{way}, and refused", MATCHED
        )
    return Finding(Severity.HIGH, f"nodes/proxy was asked for the kubelet's /{way}", MATCHED)
