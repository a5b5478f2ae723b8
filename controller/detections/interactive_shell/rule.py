# SPDX-License-Identifier: Apache-2.0
"""A shell was started in a running container by a container administration command.

Gravest where a person sits at it: with a terminal, and waiting for commands. A shell without a terminal, or
one that was given its commands, is the lesser variant. Later shells count where the visit had none before, or
none with a terminal: a visit that was made interactive from within.
"""

from __future__ import annotations

from controller.detect.commands import itself, shell_use
from controller.detect.once import once
from controller.detect.programs import SHELLS
from controller.detect.rule import ADMIN_MEANS, Event, Finding, Severity, Visit

TITLE = "Interactive shell by an admin command"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1059.004")

MATCHED = ("process.exe", "process.filename", "process.argv", "process.tty")
USES = {
    "stdin": "waiting for commands",
    "command": "with its commands given",
    "script": "to run a script",
    "unknown": "with arguments that are not known",
}
MEANS = frozenset(ADMIN_MEANS)
PROGRAMS = SHELLS


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on the entry's own shell, and on the first shell inside that waits for commands."""
    use = _use(event) if visit.means in ADMIN_MEANS and event["kind"] != "escape" else None
    if use is None:
        return None
    if event["kind"] == "command" and (use != "stdin" or _had_one(visit, event)):
        return None
    terminal = event["process"]["tty"] is not None
    grave = (Severity.LOW, Severity.MEDIUM, Severity.HIGH)[terminal + (use == "stdin")]
    name = next(each.program for each in itself(event) if each.program in SHELLS)
    when = "the shell" if event["kind"] == "entry" else "from within, the shell"
    at = "with a terminal" if terminal else "without a terminal"
    return Finding(grave, f"{when} {name} came by {ADMIN_MEANS[visit.means]}, {at}, {USES[use]}", MATCHED)


@once
def _use(event: Event) -> str | None:
    """What the shell takes its commands from, "unknown" without a command line; None if it is no shell."""
    shell = next((each for each in itself(event) if each.program in SHELLS), None)
    if shell is None:
        return None
    return "unknown" if event["process"]["argv"] is None else shell_use(shell.arguments)


def _had_one(visit: Visit, event: Event) -> bool:
    terminal = event["process"]["tty"] is not None
    earlier = (each for each in visit.before(event) if _use(each) == "stdin")
    return any(each["process"]["tty"] is not None or not terminal for each in earlier)
