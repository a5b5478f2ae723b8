# SPDX-License-Identifier: Apache-2.0
"""A visitor wrote a key that lets somebody in by ssh: authorized_keys of a user, or the server's own settings."""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.files import targets as written_by
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "SSH key left behind"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1098.004",)

MATCHED = ("process.exe", "process.argv", "process.user")
KEYS = re.compile(r"(?:^|/)authorized_keys2?$|/dropbear/authorized_keys$")
SERVER = re.compile(r"/sshd_config(?:\.d/[^/]+)?$|\.ssh/rc$")
EDITORS = frozenset({"sed", "vi", "vim", "nano", "ed"})
PROGRAMS = frozenset({"ssh-copy-id"})
TEXT = (KEYS, SERVER)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each write that a command line shows: high for keys, medium for the server's settings and editors."""
    targets = sorted(written_by(event))
    if keys := next(filter(KEYS.search, targets), None):
        return Finding(Severity.HIGH, f"a key was written to {keys}", MATCHED)
    if server := next(filter(SERVER.search, targets), None):
        return Finding(Severity.MEDIUM, f"the ssh server's settings were written: {server}", MATCHED)
    for run in invocations(event):
        if run.program == "ssh-copy-id":
            return Finding(Severity.MEDIUM, f"a key was sent to another host: {run}", MATCHED)
        edits = run.program in EDITORS and (
            run.program != "sed" or any(w.startswith("-i") for w in run.arguments)
        )
        if edits and (opened := next(filter(KEYS.search, run.arguments), None)):
            return Finding(Severity.MEDIUM, f"{run.program} was opened on {opened}", MATCHED)
    return None
