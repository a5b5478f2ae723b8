# SPDX-License-Identifier: Apache-2.0
"""An entry with more rights than the container was given.

Gravest: capabilities beyond the bounding set of the container's first process, which nothing that the
container itself starts can have. Then: root where the container is configured to run as somebody else. Least:
root where nobody tells as whom the container runs.
"""

from __future__ import annotations

from controller.detect.rule import (
    Event,
    Finding,
    Severity,
    Visit,
    capability_names,
    configured_as_root,
    mask,
)

TITLE = "Entry with more rights than the container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1611", "T1548")
KINDS = frozenset({"entry"})

MATCHED = ("process.uid", "process.user", "process.caps", "container.user", "container.caps")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the entry itself: what comes after it cannot gain what the entry did not bring."""
    if "mnt" not in event["namespaces"]:
        return None  # without the container's files it is the host's own process, with the host's own rights
    reasons, severity = [], Severity.LOW
    extra = _extra(event)
    if extra:
        severity = Severity.HIGH
        reasons.append(f"it holds {', '.join(capability_names(extra))}, which the container does not have")
    if event["process"]["uid"] == 0:
        as_root = configured_as_root(event["container"])
        if as_root is False:
            severity = max(severity, Severity.MEDIUM)
            reasons.append(f"it runs as root, the container is configured as {event['container']['user']}")
        elif extra or (as_root is None and event["missing"].get("container.user") != "pending"):
            reasons.append("it runs as root")  # what is pending comes with an update, and is judged then
    return Finding(severity, "; ".join(reasons), MATCHED) if reasons else None


def _extra(event: Event) -> int:
    """The capabilities beyond the container's, bit by bit; none where either mask is not known."""
    held, allowed = mask(event["process"]["caps"]), mask(event["container"]["caps"])
    return 0 if held is None or allowed is None else held & ~allowed
