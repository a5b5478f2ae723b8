# SPDX-License-Identifier: Apache-2.0
"""A process of the host used a container's files as its own, through /proc/PID/root: chroot to it, or exec from it.

Nothing is joined: namespaces, cgroup and powers stay the host's. So what runs has the container's programs and
libraries, and the rights of root on the host.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Entry through /proc/PID/root"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1611",)
KINDS = frozenset({"entry"})

MATCHED = ("means", "verdict", "process.exe", "process.argv", "process.uid", "entered_by.exe", "login")
MEANS = frozenset({"proc-root"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the entry itself."""
    if event["means"] != "proc-root":
        return None
    reason = "a process of the host ran with the files of a container, and with the host's namespaces"
    if event["process"]["uid"] == 0:
        return Finding(Severity.HIGH, f"{reason}, as root", MATCHED)
    return Finding(Severity.MEDIUM, reason, MATCHED)
