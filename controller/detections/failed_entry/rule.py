# SPDX-License-Identifier: Apache-2.0
"""An administration command joined a container, and what it was to run there does not exist or may not be run.

So it looks when somebody tries /bin/bash, then /bin/sh, in an image that has no shell. One is a typing error as
often as not; it tells of somebody at the door all the same, and stands in the alert of nothing else.
"""

from __future__ import annotations

from controller.detect.rule import ADMIN_MEANS, Event, Finding, Severity, Visit, configured_as_root

TITLE = "Entry that failed"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1609",)
KINDS = frozenset({"attempt"})

MATCHED = ("means", "namespaces", "container.user", "entered_by.exe", "login")
MEANS = frozenset(ADMIN_MEANS)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the attempt. Graver in a container with rights over the host, which somebody may be after."""
    if event["means"] not in ADMIN_MEANS:
        return None
    reason = f"{ADMIN_MEANS[event['means']]} joined the container, and nothing was executed there"
    if event["container"]["privileged"] and configured_as_root(event["container"]):
        return Finding(Severity.MEDIUM, f"{reason}; the container is privileged", MATCHED)
    return Finding(Severity.LOW, reason, MATCHED)
