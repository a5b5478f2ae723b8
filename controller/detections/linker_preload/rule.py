# SPDX-License-Identifier: Apache-2.0
"""A library was put before all others: /etc/ld.so.preload written, or LD_PRELOAD and LD_AUDIT set for a command.

So every program that starts runs the visitor's code, and shows or hides what that wants.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, shell_texts
from controller.detect.files import targets as written_by
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Dynamic linker made to load a library"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1574.006",)

MATCHED = ("process.exe", "process.argv", "process.user")
FILE = re.compile(r"/ld\.so\.(?:preload|conf(?:\.d/[^/]+)?)$")
SET = re.compile(r"(?:^|[\s;&|])(?:export\s+)?(LD_(?:PRELOAD|AUDIT))=[\"']?([^\s;&|\"']+)")
KNOWN = re.compile(
    r"(?:^|/)lib(?:jemalloc|tcmalloc|mimalloc|faketime|eatmydata|gtk3-nocsd|fakeroot|asan)[\w.-]*$"
)
WRITABLE = re.compile(r"^/(?:tmp|var/tmp|dev/shm|run|home)/|^\./|/\.")
TEXT = (FILE, SET)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each; a known allocator or test library is silent, one from a writable place is high."""
    targets = sorted(written_by(event))
    if file := next(filter(FILE.search, targets), None):
        severity = Severity.HIGH if file.endswith("preload") else Severity.MEDIUM
        return Finding(severity, f"{file} was written: every program loads what it names", MATCHED)
    texts = [*shell_texts(event)]
    texts += [word for run in invocations(event) if run.program == "env" for word in run.arguments]
    for variable, library in (found for text in texts for found in SET.findall(text)):
        if not KNOWN.search(library):
            severity = Severity.HIGH if WRITABLE.search(library) else Severity.MEDIUM
            return Finding(severity, f"{variable} was set to {library}", MATCHED)
    return None
