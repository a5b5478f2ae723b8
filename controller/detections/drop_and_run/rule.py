# SPDX-License-Identifier: Apache-2.0
"""A file that this visit brought in was then executed in it: downloaded, or pasted by a redirection.

The two steps are matched by the file: what `curl -o`, `wget -O` or the end of the address names, and what is
executed later. A download alone is `network_tool`'s.
"""

from __future__ import annotations

import re

from controller.detect import files
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Downloaded file executed"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1105", "T1059.004")

MATCHED = ("process.exe", "process.filename", "process.argv", "process.cwd", "process.user")
SYSTEM = re.compile(r"/(?:usr/)?(?:local/)?s?bin/")
COMMON = frozenset({"index.html", "download", "latest", "raw", "master", "main"})


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the execution. By its whole path; by its name alone where the shell changed directories between."""
    earlier = files.before(visit, event)
    dropped = {path for each in earlier for path in files.fetched(each)}
    ran = files.executed(event)
    names = {files.name(path) for path in dropped} - COMMON
    hit = next((path for path in sorted(ran) if path in dropped or files.name(path) in names), None)
    if hit is None:
        return _pasted(event, earlier)
    return Finding(Severity.HIGH, f"{hit} was executed, which this visit had downloaded", MATCHED)


def _pasted(event: Event, earlier: tuple[Event, ...]) -> Finding | None:
    exe = (event.get("process") or {}).get("exe")
    if event["kind"] != "command" or exe is None or SYSTEM.match(exe):
        return None
    if not any(exe in files.pasted(each) for each in earlier):
        return None
    return Finding(Severity.MEDIUM, f"{exe} was executed, which this visit had written", MATCHED)
