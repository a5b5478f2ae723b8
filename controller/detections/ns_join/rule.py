# SPDX-License-Identifier: Apache-2.0
"""A process of the host joined the namespaces of a running container by itself: nsenter and its kin.

No runtime and no API took part, so no log of theirs tells of it. The way in is known from the kernel's state
(namespaces changed, cgroup not), never from the name of the tool. Gravest with the container's mount
namespace: then the process sees its files. A join after which nothing was executed counts as an attempt.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Entry by namespace join"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1611")
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "namespaces", "verdict", "entered_by.exe", "entered_by.argv", "login")
MEANS = frozenset({"ns-join"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the entry or the attempt itself, once a visit."""
    if event["means"] != "ns-join":
        return None
    joined = event["namespaces"]
    tool = event["entered_by"]["exe"] or event["entered_by"]["comm"]
    reason = (
        f"{tool} joined the {', '.join(joined)} namespace{'s' * (len(joined) != 1)} of a running container"
    )
    if event["kind"] == "attempt":
        return Finding(Severity.MEDIUM, f"{reason}, but executed nothing", MATCHED)
    if "mnt" not in joined:
        return Finding(Severity.MEDIUM, f"{reason}; it kept the files of the host", MATCHED)
    return Finding(Severity.HIGH, f"{reason}, past every runtime and its log", MATCHED)
