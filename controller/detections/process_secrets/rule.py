# SPDX-License-Identifier: Apache-2.0
"""Secrets were taken out of running processes: their environment or their memory, through /proc or a debugger.

An application's environment holds what it was configured with, and its memory everything else. The reader's own
process (`/proc/self`) is not meant.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.once import once
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Environment or memory of other processes read"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1003.007", "T1552.007")

MATCHED = ("process.exe", "process.argv", "process.user")
ENVIRONMENT = re.compile(r"/proc/(\d+|\*|\[[^\]]+\]\*?|\$\{?\w+\}?)/environ")
MEMORY = re.compile(r"/proc/(?:\d+|\*|\$\{?\w+\}?)/(?:mem|task/[^/]+/mem)$|/proc/kcore|^/dev/(?:k?mem)$")
DUMPERS = words("gcore procdump mimipenguin pspy pspy64 lazagne")
PROGRAMS = DUMPERS | {"gdb", "lldb", "strace"}
TEXT = (ENVIRONMENT, MEMORY)


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on each: medium for one process's environment, high for several, for all, and for memory."""
    run = invocations(event)
    if tool := next(
        (each for each in run if each.program in DUMPERS or _attaches(each.program, each.arguments)), None
    ):
        return Finding(Severity.HIGH, f"the memory of a process was reached for: {tool}", MATCHED)
    given = [word for each in run for word in each.arguments]
    if memory := next((word for word in given if MEMORY.search(word)), None):
        return Finding(Severity.HIGH, f"the memory of a process was read: {memory}", MATCHED)
    mine = _whose(event)
    if not mine:
        return None
    all_ = mine | {each for other in visit.before(event) for each in _whose(other)}
    if len(all_) > 1 or not all(each.isdigit() for each in mine):
        return Finding(Severity.HIGH, "the environment of one process after the other was read", MATCHED)
    return Finding(Severity.MEDIUM, f"the environment of process {next(iter(mine))} was read", MATCHED)


@once
def _whose(event: Event) -> set[str]:
    given = [word for each in invocations(event) for word in each.arguments]
    return {match for word in given for match in ENVIRONMENT.findall(word)}


def _attaches(program: str, arguments: tuple[str, ...]) -> bool:
    """A debugger on a process that runs: `gdb -p 1`."""
    return program in {"gdb", "lldb", "strace"} and any(
        re.match(r"-p|--pid|--attach", word) for word in arguments
    )
