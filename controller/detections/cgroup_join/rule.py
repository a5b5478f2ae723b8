# SPDX-License-Identifier: Apache-2.0
"""A process of the host was put into a container's cgroup, and runs there with the host's namespaces.

By its cgroup it is the container's: whatever goes by cgroups (accounting, network policy, most sensors) takes
what it does for the container's own, and gives it what the container is granted.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Process moved into a container's cgroup"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1611",)
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "verdict", "process.exe", "process.argv", "entered_by.exe", "entered_by.argv", "login")
MEANS = frozenset({"cgroup-join"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the entry or the attempt itself."""
    if event["means"] != "cgroup-join":
        return None
    mover = event["entered_by"]["exe"] or event["entered_by"]["comm"]
    reason = f"{mover} put a process of the host into the cgroup of a container"
    if event["kind"] == "attempt":
        return Finding(Severity.LOW, f"{reason}, and it was gone without executing anything", MATCHED)
    return Finding(Severity.HIGH, f"{reason}; it passes for the container's own", MATCHED)
