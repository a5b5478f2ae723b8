# SPDX-License-Identifier: Apache-2.0
"""A file was written by which the host's kernel runs a program of one's choice, as root, outside every container.

release_agent, core_pattern, modprobe, uevent_helper, binfmt_misc: each is one line, and an escape.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, shell_texts
from controller.detect.files import targets as written_by
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Kernel told to run a program of the container"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1611", "T1068")

MATCHED = ("process.exe", "process.argv", "process.user", "container.privileged")
HOOK = re.compile(
    r"/release_agent$|/proc/sys/kernel/(?:core_pattern|modprobe|hotplug)$|/uevent_helper$|/binfmt_misc/register$|"
    r"/proc/sysrq-trigger$"
)
ENABLE = re.compile(r"/notify_on_release$")
CGROUP = re.compile(r"\bmount\b[^;|&]*-t\s*cgroup\b(?!2)")
SETTING = re.compile(r"^kernel\.(?:core_pattern|modprobe|hotplug)=")
PROGRAMS = frozenset({"mount"})
TEXT = (HOOK, ENABLE, CGROUP, SETTING)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each write that a command line shows; critical, and high for what only prepares it."""
    targets = written_by(event)
    if hook := next((path for path in sorted(targets) if HOOK.search(path)), None):
        return Finding(
            Severity.CRITICAL, f"{hook} was written: the kernel runs what it names, on the host", MATCHED
        )
    for run in invocations(event):
        if run.program == "sysctl" and (word := next(filter(SETTING.search, run.arguments), None)):
            return Finding(Severity.CRITICAL, f"sysctl set {word}: the kernel runs what it names", MATCHED)
        if run.program == "mount" and "cgroup" in run.arguments:
            return Finding(Severity.HIGH, f"a cgroup hierarchy was mounted: {run}", MATCHED)
    if any(map(ENABLE.search, targets)) or any(map(CGROUP.search, shell_texts(event))):
        return Finding(Severity.HIGH, "a cgroup was made to notify on release", MATCHED)
    return None
