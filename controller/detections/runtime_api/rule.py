# SPDX-License-Identifier: Apache-2.0
"""Somebody inside a container connected to an API that orders containers about: of Docker by TCP, a kubelet, etcd."""

from __future__ import annotations

from controller.detect.destinations import api, is_loopback
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Container API asked from inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1613", "T1610", "T1552.007")
KINDS = frozenset({"connection", "activity"})

RUNTIME = frozenset({2375, 2376})
"""Whose user is root on the host. What workloads ask of themselves is told for these alone."""


def rule(visit: Visit, event: Event) -> Finding | None:
    """Of a visit all of them; a workload's own clients of Kubernetes, kubelets and etcd are ordinary."""
    known = api(event) if event["what"] == "connect" else None
    visited = visit.entry is not None
    # The counts of an activity come every few seconds: the first tells it.
    own = event["kind"] == "activity" and event["port"] in RUNTIME and event["count"] == 1
    if known is None or not (visited or own):
        return None
    process = event["process"] if event["kind"] == "connection" else event
    severity = Severity.HIGH if visited and known.sure else Severity.MEDIUM
    if is_loopback(event["address"]):
        severity = Severity.LOW
    reason = f"{process['comm']} connected to {event['address']} port {event['port']}, {known.label}"
    named = ("comm", "exe", "argv", "uid")
    paths = named if event["kind"] == "activity" else tuple(f"process.{name}" for name in named)
    return Finding(severity, reason, ("what", "address", "port", "protocol", *paths))
