# SPDX-License-Identifier: Apache-2.0
"""A visitor wrote to what runs at the next start: of a shell, of the container, or of the services in it.

Gravest is what the container's own start runs (entrypoints, init scripts, units): it comes back with each restart, as
the container. What a person's shell reads waits for the next visitor, and runs as that one.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.files import redirected, written
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Startup script changed"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1546.004", "T1037.004", "T1543.002")

MATCHED = ("process.exe", "process.argv", "process.user")
BOOT = re.compile(
    r"/etc/(?:rc\.local|rc[0-6S]?\.d/|init\.d/|inittab$|runit/|sv/|s6-overlay/|cont-init\.d/|services\.d/|"
    r"supervisor(?:d\.conf|/conf\.d/))|/systemd/(?:system|user)/[^/]+\.(?:service|socket|path)$|"
    r"/(?:docker-)?entrypoint(?:\.sh|\.d/|-[a-z]+\.d/)"
)
SHELL = re.compile(
    r"(?:^|/)\.(?:bashrc|bash_(?:profile|login|logout|aliases)|profile|z(?:shrc|profile|login|shenv)|kshrc|t?cshrc|"
    r"config/fish/config\.fish)$|/etc/(?:profile(?:\.d/.+)?|bash\.bashrc|bashrc|environment|zsh/.+|zshrc)$"
)
EDITORS = words("sed vi vim nano ed ex tee")
ENABLES = {
    "systemctl": words("enable reenable"),
    "update-rc.d": words("defaults enable"),
    "rc-update": words("add -a"),
}
PROGRAMS = EDITORS | frozenset(ENABLES)
TEXT = (BOOT, SHELL)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each command that writes to such a file or has a service start by itself. Reading is silent."""
    paths, enabled = [*redirected(event), *sorted(written(event))], None
    for run in invocations(event):
        if run.program in EDITORS and (
            run.program != "sed" or any(w.startswith("-i") for w in run.arguments)
        ):
            paths += [word for word in run.arguments if not word.startswith("-")]
        if ENABLES.get(run.program, frozenset()) & {*run.arguments}:
            enabled = run
    if place := next(filter(BOOT.search, paths), None):
        return Finding(Severity.HIGH, f"{place} was written, which runs when the container starts", MATCHED)
    if enabled:
        return Finding(Severity.MEDIUM, f"a service is to start by itself: {enabled}", MATCHED)
    if place := next(filter(SHELL.search, paths), None):
        return Finding(Severity.MEDIUM, f"{place} was written, which the next shell runs", MATCHED)
    return None
