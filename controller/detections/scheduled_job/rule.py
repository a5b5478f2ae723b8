# SPDX-License-Identifier: Apache-2.0
"""A visitor left a job to be run later: by crontab, a file below cron's folders, at, or a systemd timer."""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.files import targets as written_by
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Scheduled job left behind"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1053.003",)

MATCHED = ("process.exe", "process.argv", "process.user")
PLACE = re.compile(
    r"^(?:/[^/]+)?(?:/etc/(?:crontab|anacrontab|cron\.(?:d|hourly|daily|weekly|monthly)/|crontabs/)|"
    r"/var/spool/(?:cron|anacron|at)/)|\.timer$"
)
EDITORS = frozenset({"sed", "vi", "vim", "nano", "tee"})
PROGRAMS = frozenset({"crontab", "at", "batch"})
TEXT = (PLACE,)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each command that installs one. Listing is silent; on the host's own cron by a mount it is as grave."""
    targets = written_by(event)
    if place := next((path for path in sorted(targets) if PLACE.search(path)), None):
        return Finding(Severity.HIGH, f"a job was written to {place}", MATCHED)
    for run in invocations(event):
        given = set(run.arguments)
        edits = run.program in EDITORS and (run.program != "sed" or any(w.startswith("-i") for w in given))
        if edits and (place := next(filter(PLACE.search, run.arguments), None)):
            return Finding(Severity.MEDIUM, f"{run.program} was opened on {place}", MATCHED)
        if run.program == "crontab" and given and not {"-l", "--help", "-V"} & given:
            removes = "-r" in given
            done = "removed" if removes else "installed"
            return Finding(
                Severity.MEDIUM if removes else Severity.HIGH, f"a crontab was {done}: {run}", MATCHED
            )
        if run.program in {"at", "batch"} and not {"-l", "-V", "-c"} & given:
            return Finding(Severity.HIGH, f"a job was given to {run.program}", MATCHED)
    return None
