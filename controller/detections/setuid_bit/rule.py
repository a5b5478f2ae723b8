# SPDX-License-Identifier: Apache-2.0
"""A visitor gave a file the setuid or setgid bit, or capabilities: a way to more rights that stays behind."""

from __future__ import annotations

import re

from controller.detect.commands import invocations, with_next
from controller.detect.programs import INTERPRETERS, SHELLS
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Setuid bit or file capability given"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1548.001",)

MATCHED = ("process.exe", "process.argv", "process.user")
MODE = re.compile(r"^(?:[ugoa]*[+=][rwxXt]*s[rwxXst]*(?:,.*)?|.*,[ug]*[+=][rwx]*s[rwx]*|0?[2467][0-7]{3})$")
GRAVE = re.compile(
    r"cap_(?:setuid|setgid|sys_admin|sys_ptrace|dac_override|dac_read_search|sys_module)|=e?i?p$"
)
WRITABLE = re.compile(r"^/(?:tmp|var/tmp|dev/shm)/")
RISKY = SHELLS | {"busybox", "python", "python3", "perl", "find", "env", "cp", "nsenter"}

CODE = re.compile(r"\bchmod\b\W[^;\n]*?\b0?o?[2467][0-7]{3}\b")
PROGRAMS = INTERPRETERS | {"chmod", "install", "setcap"}


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on chmod, install and setcap; high for a shell or interpreter, a writable place, a grave capability."""
    for run in invocations(event):
        operands = [word for word in run.arguments if not word.startswith("-")]
        if run.program in INTERPRETERS and any(map(CODE.search, run.arguments)):
            return Finding(Severity.HIGH, f"{run.program} was told to give the setuid or setgid bit", MATCHED)
        if run.program == "chmod" and operands and MODE.search(operands[0]) and operands[1:]:
            files = operands[1:]
        elif run.program == "install" and _mode(run.arguments) and operands:
            files = operands[-1:]
        elif run.program == "setcap" and len(operands) > 1 and operands[0] not in {"-r", "-v"}:
            grave = bool(GRAVE.search(operands[0]))
            return Finding(
                Severity.HIGH if grave else Severity.MEDIUM, f"a file was given capabilities: {run}", MATCHED
            )
        else:
            continue
        near = any(map(WRITABLE.search, files))
        risky = near or any(path.rpartition("/")[2] in RISKY for path in files)
        severity = Severity.HIGH if risky else Severity.MEDIUM
        return Finding(severity, f"{', '.join(files)} was given the setuid or setgid bit", MATCHED)
    return None


def _mode(given: tuple[str, ...]) -> bool:
    """Whether install's mode has the bit."""
    joined = [
        word.removeprefix("-m").removeprefix("--mode=")
        for word in given
        if word.startswith(("-m", "--mode="))
    ]
    after = [value for word, value in with_next(given) if word in {"-m", "--mode"}]
    return any(MODE.search(each) for each in (*joined, *after) if each)
