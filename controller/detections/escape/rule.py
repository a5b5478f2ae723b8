# SPDX-License-Identifier: Apache-2.0
"""A container's process came to the host: it joined the host's namespaces, or used the host's files.

Known from the kernel's state: the process stood in a container's mount namespace before, and has one of the
host's namespaces after, or a root directory, executable or working directory that lies on the host's mounts.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Escape from a container to the host"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1611",)
KINDS = frozenset({"escape"})

MATCHED = ("namespaces", "container.privileged", "entered_by.exe", "entered_by.argv", "process.exe")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each escape."""
    joined = event["namespaces"]
    if not joined:
        return Finding(Severity.CRITICAL, "a container's process used the files of the host", MATCHED)
    reason = f"a container's process joined the {', '.join(joined)} namespace{'s' * (len(joined) != 1)} of the host"
    if event["process"] is None:
        return Finding(Severity.HIGH, f"{reason}, and executed nothing there", MATCHED)
    return Finding(Severity.CRITICAL if "mnt" in joined else Severity.HIGH, reason, MATCHED)
