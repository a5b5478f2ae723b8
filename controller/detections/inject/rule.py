# SPDX-License-Identifier: Apache-2.0
"""A process outside attached to a process of a container with ptrace, wrote into its memory, or took a file of it.

So code can be run inside without entering: with the container's namespaces, cgroup, user and powers, and under
the name of a process that belongs there. An open file that is taken (a socket, a database) is read and written outside
with the rights that the container opened it with.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Injection into a container's process"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1055.008",)
KINDS = frozenset({"entry", "command"})

MATCHED = ("means", "reach", "process.exe", "process.argv", "entered_by.exe", "entered_by.argv", "login")
DID = {
    "trace": "took hold of a container's process",
    "write": "wrote into the memory of a container's process",
    "take": "took an open file of a container's process",
}
MEANS = frozenset({"inject"})


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the entry itself, and graver once the process executes something."""
    if event["kind"] == "command" and visit.means == "inject":
        return Finding(
            Severity.CRITICAL, "a process that was reached into then executed a program", MATCHED[2:4]
        )
    if event["kind"] != "entry" or event["means"] != "inject":
        return None
    tool = event["entered_by"]["exe"] or event["entered_by"]["comm"]
    did = DID.get(event.get("reach", ""), "took hold of a container's process")
    return Finding(Severity.HIGH, f"{tool} {did} from outside", MATCHED)
