# SPDX-License-Identifier: Apache-2.0
"""A visitor kept the shell from remembering: history turned off, emptied, deleted or led to nowhere.

Nobody who came to work does that first. It says what the visitor thinks of being seen, whatever is done besides.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, shell_texts
from controller.detect.files import truncated
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Shell history turned off or removed"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1070.003",)

MATCHED = ("process.exe", "process.argv", "process.user")
FILE = re.compile(
    r"\.(?:ba|z|k|a|da)?sh_history$|fish_history$|\.(?:mysql|psql|python|rediscli|node_repl)_history$"
)
OFF = re.compile(
    r"(?:^|[\s;&|])(?:unset\s+HISTFILE|(?:export\s+)?HISTFILE=(?:/dev/null|['\"]{2}|$|\s|;)|(?:export\s+)?HIST(?:FILE)?SIZE=0\b|"
    r"set\s+\+o\s+history|history\s+-[a-z]*c|(?:export\s+)?HISTCONTROL=ignore(?:space|both))"
)
REMOVERS = words("rm unlink shred truncate srm")
TEXT = (FILE, OFF)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each command that does it: in a shell's string, by a program, by an assignment before one."""
    if off := next(
        (found[0].strip(" ;&|") for text in shell_texts(event) if (found := OFF.search(text))), None
    ):
        return Finding(Severity.HIGH, f"the shell was told to forget: {off}", MATCHED)
    gone = [path for path in truncated(event) if FILE.search(path)]
    for run in invocations(event):
        operands = [word for word in run.arguments if not word.startswith("-")]
        if run.program in REMOVERS or (run.program in {"ln", "cp", "mv"} and operands[:1] == ["/dev/null"]):
            gone += [word for word in operands if FILE.search(word)]
        elif run.program == "env" and any(map(OFF.search, run.arguments)):
            gone.append("by the environment")
    return Finding(Severity.HIGH, f"a shell's history was removed: {gone[0]}", MATCHED) if gone else None
