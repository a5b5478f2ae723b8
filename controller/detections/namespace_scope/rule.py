# SPDX-License-Identifier: Apache-2.0
"""Somebody came into a pod of a namespace in which nobody is to: outside NamespaceScope.

Silent until the scope is set, and about containers that belong to no pod.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Entry outside the namespace scope"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609",)
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "container.pod", "container.name", "login")
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on what opened the visit: high in the cluster's own namespaces."""
    if visit.entry is None or visit.entry["id"] != event["id"]:
        return None
    pod = event["container"]["pod"]
    if pod is None or visit.knobs.in_scope(pod["namespace"]) is not False:
        return None
    by = f" by {visit.who.name}" if visit.who.name else ""
    reason = f"an entry{by} into pod {pod['namespace']}/{pod['name']}, outside NamespaceScope"
    return Finding(Severity.HIGH if pod["namespace"] in SYSTEM else Severity.MEDIUM, reason, MATCHED)
