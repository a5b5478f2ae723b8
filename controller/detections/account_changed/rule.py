# SPDX-License-Identifier: Apache-2.0
"""A visitor made an account, gave one a password or more rights, or wrote to the files that say who there is.

Gravest where the account is root by another name, or may become root: uid 0, a group such as sudo or docker, a line
in sudoers. An account that can do no more than others is medium.
"""

from __future__ import annotations

import re

from controller.detect.commands import Invocation, invocations
from controller.detect.files import redirected, written
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Account made or given rights"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1136.001", "T1548.003")

MATCHED = ("process.exe", "process.argv", "process.user")
MAKERS = words("useradd adduser newusers")
CHANGERS = words("usermod gpasswd addgroup chpasswd passwd visudo vipw vigr")
EDITORS = words("sed vi vim nano ed ex")
ASKS = words("-S --status -D --defaults --help -h -q --quiet -sg -s")
PLACE = re.compile(
    r"^(?:/[^/]+)?/etc/(?:(?:passwd|shadow|group|gshadow)-?|sudoers(?:\.d/[^/]+)?|doas\.conf)$"
)
GREAT = re.compile(r"^(?:root|0|sudo|wheel|admin|docker|lxd|disk|shadow)$")
ROOT = re.compile(
    r"(?:^|\s)(?:-[a-zA-Z]*u|--uid|-g|--gid|-G|--groups|-aG|-a -G)(?:[ =]\S*?)?\b(?:0|root|sudo|wheel|docker)\b|\s-u0\b"
)
PROGRAMS, TEXT = MAKERS | CHANGERS | EDITORS, (PLACE,)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each command that changes who there is. Asking and deleting are silent."""
    targets = {*redirected(event), *written(event)}
    if place := next((path for path in sorted(targets) if PLACE.search(path)), None):
        return Finding(Severity.HIGH, f"{place} was written by hand", MATCHED)
    found = [finding for run in invocations(event) if (finding := _changed(run))]
    return max(found, key=lambda finding: finding.severity, default=None)


def _changed(run: Invocation) -> Finding | None:
    edits = run.program in EDITORS and (
        run.program != "sed" or any(w.startswith("-i") for w in run.arguments)
    )
    if edits and (place := next(filter(PLACE.search, run.arguments), None)):
        return Finding(Severity.HIGH, f"{run.program} was opened on {place}", MATCHED)
    if run.program not in MAKERS | CHANGERS or (run.program == "passwd" and ASKS & {*run.arguments}):
        return None
    grave = ROOT.search(f" {' '.join(run.arguments)}") or run.program in {"visudo", "vipw"}
    grave = grave or (
        run.program in {"gpasswd", "addgroup", "adduser"} and any(map(GREAT.search, run.arguments))
    )
    if grave:
        return Finding(Severity.HIGH, f"an account may do as root does: {run}", MATCHED)
    made = "made" if run.program in MAKERS else "changed"
    return Finding(Severity.MEDIUM, f"an account was {made}: {run}", MATCHED)
