# SPDX-License-Identifier: Apache-2.0
"""A program ran in a visit that does not look like what it is: by a hidden place, by a service's name, by a kernel's.

By the file that the kernel ran, not by what the caller says; the caller's word (argv[0]) counts only where it claims
to be a thread of the kernel, which no file can be.
"""

from __future__ import annotations

import re

from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Program in disguise"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1036.005", "T1036.003", "T1036.004", "T1564.001")

MATCHED = ("process.exe", "process.filename", "process.argv", "process.user")
OPEN = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm|/dev/mqueue|/run|/var/run|/root|/home/[^/]+)/")
BLANK = re.compile(r"/(?:\.{3,}|\.+\s+|\s[^/]*|[^/]*\s)(?:/|$)")
HIDDEN = re.compile(r"/\.[^/.][^/]*(?=/|$)")
TOOLS = re.compile(
    r"/\.(?:local|config|cache|cargo|rustup|nvm|npm\w*|nodenv|pyenv|rbenv|rvm|gem|venv|virtualenvs|poetry|pipx?|conda|asdf|"
    r"sdkman|dotnet|deno|bun|volta|yarn|go|gvm|vscode\S*|cursor\S*|docker|krew|linuxbrew|jbang|m2|git\w*|dapper|oh-my-zsh)(?=/)"
)
SERVICES = words(
    "sshd cron crond atd init systemd systemd-journald systemd-udevd systemd-logind dbus-daemon rsyslogd syslogd udevd "
    "agetty dockerd containerd containerd-shim containerd-shim-runc-v2 kubelet kube-proxy runc pause chronyd auditd"
)
THREAD = re.compile(
    r"^\[[a-z_]+[^\]]*\]$|^(?:kworker|kthreadd|ksoftirqd|kswapd|rcu_(?:sched|preempt)|migration|kdevtmpfs)\b"
)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on the execution. People's tools in their own hidden folders (TOOLS) are silent."""
    process = event.get("process") or {}
    path = (process.get("exe") or "").removesuffix(" (deleted)")
    if not path.startswith("/"):
        return None
    called = (process.get("argv") or [""])[0]
    if THREAD.search(called):
        return Finding(Severity.HIGH, f"{path} calls itself {called}, as a thread of the kernel", MATCHED)
    if BLANK.search(path):
        return Finding(Severity.HIGH, f"{path} was executed: dots or blanks hide its name", MATCHED)
    name = path.rpartition("/")[2]
    if name in SERVICES and OPEN.match(path):
        return Finding(Severity.HIGH, f"{path} was executed, which has the name of a service", MATCHED)
    if HIDDEN.search(path) and not TOOLS.search(path):
        severity = Severity.HIGH if OPEN.match(path) else Severity.MEDIUM
        return Finding(severity, f"{path} was executed from a hidden place", MATCHED)
    return None
