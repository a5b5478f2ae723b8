# SPDX-License-Identifier: Apache-2.0
"""The low-level runtime was run by hand to enter a container that a daemon manages.

By `runc exec` or `crun exec`, or by `ctr` into a container that docker or the kubelet made. The daemon is not asked:
its authorisation, its limits and its log do not apply. That the record is missing is `unrecorded_entry`'s; here it is
the way that was taken.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Runtime run by hand, past its daemon"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609",)
KINDS = frozenset({"entry", "attempt"})

MATCHED = ("means", "container.runtime", "entered_by.exe", "entered_by.argv", "login")
MANAGED = {"docker": "docker", "cri": "the kubelet", "podman": "podman"}
MEANS = frozenset({"ctr-exec", "runc-exec"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the entry or the attempt itself, where it is known whose container it is."""
    owner = MANAGED.get(event["container"]["runtime"])
    if event["means"] == "ctr-exec" and owner in {"docker", "the kubelet"}:
        how = "ctr"
    elif event["means"] == "runc-exec" and owner is not None:
        how = event["entered_by"]["exe"] or event["entered_by"]["comm"]
    else:
        return None
    reason = f"{how} entered a container of {owner}, which was not asked"
    if event["kind"] == "attempt":
        return Finding(Severity.MEDIUM, f"{reason}; nothing was executed", MATCHED)
    return Finding(Severity.HIGH, reason, MATCHED)
