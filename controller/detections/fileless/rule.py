# SPDX-License-Identifier: Apache-2.0
"""A program ran in a visit that lies on no disk: in memory only (memfd), in /dev/shm, or run by a descriptor.

Known from the file that the kernel executes, never from its name on the command line. Nothing is left to look at
when the process has ended, which is what it is done for.
"""

from __future__ import annotations

import re

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Program run from memory"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1620", "T1027.011")

MATCHED = ("process.exe", "process.filename", "process.argv", "process.user")
MEMORY = re.compile(r"^/?memfd:")
DESCRIPTOR = re.compile(r"^/(?:proc/(?:self|thread-self|\d+)/fd|dev/fd)/\d+$")
SHARED = re.compile(r"^/(?:dev/shm|run/shm|dev/mqueue)/")

LINKER = re.compile(r"/ld-(?:linux|musl)[\w.-]*$")
TEXT = (MEMORY, DESCRIPTOR, SHARED, re.compile(r" \(deleted\)$"))


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each such process of a visit; a path given to execve is enough where the file is not known."""
    process = event.get("process")
    if process is None:
        return None
    exe, filename = process["exe"] or "", process["filename"] or ""
    if MEMORY.search(exe):
        return Finding(Severity.CRITICAL, f"a program ran that only memory holds: {exe}", MATCHED)
    # The linker runs also what lies where nothing may be executed.
    loaded = (process["argv"] or ())[1:] if LINKER.search(exe) else ()
    if shared := next(filter(SHARED.search, (exe, filename, *loaded)), None):
        return Finding(Severity.HIGH, f"a program ran from shared memory: {shared}", MATCHED)
    if exe.endswith(" (deleted)"):
        return Finding(Severity.HIGH, f"a program ran whose file is deleted: {exe}", MATCHED)
    if DESCRIPTOR.search(filename):
        return Finding(
            Severity.HIGH, f"a program was run by an open descriptor, not by its path: {filename}", MATCHED
        )
    return None
