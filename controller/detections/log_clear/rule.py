# SPDX-License-Identifier: Apache-2.0
"""A log was emptied, overwritten, edited, deleted or replaced by hand in a visit: below /var/log, or login records.

What is gone is what the container would have said about the visit. Gravest where it concerns all logs or the login
records; one application's log is medium.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.files import before, beside, truncated
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Log cleared inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1070.002", "T1070.004")

MATCHED = ("process.exe", "process.argv", "process.user")
REMOVERS = words("rm unlink shred truncate wipe srm")
REMOVES = words("-delete rm shred unlink truncate")
LOG = re.compile(
    r"^/var/log(?:/|$)|^/var/(?:spool/)?mail/|^/(?:var/?)?\*?$|^/(?:run|var/run)/(?:utmp|log/journal)|\.log(?:\.\d+)?$|/log/journal"
)
GRAVE = re.compile(
    r"^/var/log/?(?:\*|$)|^/(?:var/?)?\*?$|[/](?:[bwu]tmp|lastlog|auth\.log|secure|syslog|messages|audit)\b|journal"
)
VACUUM = re.compile(r"^--vacuum-(?:time|size|files)")
PROGRAMS = REMOVERS | {"find", "sed", "cp", "ln", "mv", "dd", "journalctl", "xargs"}
TEXT = (LOG,)


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on each command that takes a log away. Appending is no clearing, nor is rotating."""
    gone = [path for path in truncated(event) if LOG.search(path) and path not in beside(event).values()]
    for run in invocations(event):
        operands = [word for word in run.arguments if not word.startswith("-")]
        finds = run.program == "find" and REMOVES & {*run.arguments}
        edits = run.program == "sed" and any(word.startswith("-i") for word in run.arguments)
        if run.program == "xargs" and REMOVERS & {*operands}:
            listed = (each for each in invocations(event) if each.program in {"ls", "find", "echo", "grep"})
            operands = [word for each in listed for word in each.arguments if word != "/"]
            gone += [word for word in operands if LOG.search(word)]
        elif run.program in REMOVERS or finds or edits:
            gone += [word for word in operands if LOG.search(word)]
        elif run.program in {"cp", "ln", "mv"} and operands[:1] == ["/dev/null"]:
            gone += [word for word in operands[1:] if LOG.search(word)]
        elif run.program == "dd":
            gone += [word[3:] for word in operands if word.startswith("of=") and LOG.search(word[3:])]
        elif run.program == "journalctl" and any(map(VACUUM.search, run.arguments)):
            gone.append("the journal")
    kept = {path for each in before(visit, event) for path in beside(each)}
    gone = [path for path in gone if path not in kept]
    if not gone:
        return None
    severity = Severity.HIGH if any(map(GRAVE.search, gone)) else Severity.MEDIUM
    return Finding(severity, f"a log was taken away: {', '.join(dict.fromkeys(gone))}", MATCHED)
