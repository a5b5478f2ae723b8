# SPDX-License-Identifier: Apache-2.0
"""A process outside attached to a process of a container with ptrace, or wrote into its memory.

So code can be run inside without entering: with the container's namespaces, cgroup, user and powers, and under
the name of a process that belongs there.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Injection into a container's process"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1055.008",)
KINDS = frozenset({"entry", "command"})

MATCHED = ("means", "process.exe", "process.argv", "entered_by.exe", "entered_by.argv", "login")


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the entry itself, and graver once the process executes something."""
    if event["kind"] == "command" and visit.means == "inject":
        return Finding(
            Severity.CRITICAL, "a process that was reached into then executed a program", MATCHED[1:3]
        )
    if event["kind"] != "entry" or event["means"] != "inject":
        return None
    tool = event["entered_by"]["exe"] or event["entered_by"]["comm"]
    return Finding(Severity.HIGH, f"{tool} took hold of a container's process from outside", MATCHED)
