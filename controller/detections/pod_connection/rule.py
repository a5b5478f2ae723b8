# SPDX-License-Identifier: Apache-2.0
"""Somebody attached to a container's own process, or forwarded a port of a pod, through the API server.

Neither starts a process in the container, so that the kernel shows no entry: the audit alone tells.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Attach or port-forward to a pod"
SEVERITY = Severity.LOW
TECHNIQUES = ("T1609",)
KINDS = frozenset({"record"})

MATCHED = (
    "request.user",
    "request.addresses",
    "request.namespace",
    "request.pod",
    "request.container",
    "request.agent",
)
WHAT = {
    "attach": "attached to the streams of a container's own process",
    "detach": "attached to the streams of a container's own process",
    "port_forward": "reaches the pod's ports as if from inside it",
    "port_forward_end": "reached the pod's ports as if from inside it",
}
OF_THE_CLUSTER = frozenset({"kube-system", "kube-public", "kube-node-lease"})
ACTIONS = frozenset(WHAT)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires when the connection was let through, or ended where nothing was told before."""
    what = WHAT.get(event["action"])
    request = event.get("request")  # a runtime of one host tells of attaching too: see attach
    if what is None or request is None or request["code"] is None:
        return None
    if request["namespace"] in OF_THE_CLUSTER:
        return Finding(Severity.MEDIUM, f"{request['user']} {what}, which is the cluster's own", MATCHED)
    return Finding(Severity.LOW, f"{request['user']} {what}", MATCHED)
