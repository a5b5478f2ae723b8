# SPDX-License-Identifier: Apache-2.0
"""Somebody came into a pod's container as a kubelet's exec does, and the API server was asked for no such thing.

The runtime has its record, for the kubelet (or crictl) asked it. But the audit of the cluster, which is heard, tells of
no request: so it went past authentication by the API server, its authorisation and its log.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Exec in a pod past the API server"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1562")
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "container.pod", "exec_id", "entered_by.exe", "process.argv")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the entry or the attempt, once the time for the API server's audit is up."""
    if visit.api is None:
        return None
    if visit.api["status"] != "unrecorded":
        return None
    sure = visit.api["sure"] and event["kind"] == "entry"
    return Finding(Severity.HIGH if sure else Severity.MEDIUM, visit.api["reason"], MATCHED)
