# SPDX-License-Identifier: Apache-2.0
"""A role or binding of a cluster was written or removed by somebody whom nothing authorises.

Silent until AuthorizedAdminUsers is set: what leads into containers is `exec_grant`'s, set or not.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Cluster rights changed without authorisation"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1098.006",)
KINDS = frozenset({"record"})

MATCHED = ("request.user", "request.verb", "request.name", "request.role", "request.subjects", "detail.holds")
ITSELF = ("system:apiserver", "system:serviceaccount:kube-system:", "system:kube-controller-manager")
"""The API server's own, and the controllers of every cluster: they write roles all day."""


def rule(visit: Visit, event: Event) -> Finding | None:
    """Medium where somebody is given a role or one is taken away, low where a role is written."""
    change = visit.change
    if change is None or change["authorised"] or visit.knobs.authorized_admin_users is None:
        return None
    request = event["request"]
    if request["user"].startswith(ITSELF) or not request["code"]:
        return None
    severity = Severity.LOW if event["action"] == "role_write" else Severity.MEDIUM
    what = f"{request['verb']} {request['resource']} {request['name'] or '?'}: {change['summary']}"
    return Finding(severity, f"{what}; {change['reason']}", MATCHED)
