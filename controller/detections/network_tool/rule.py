# SPDX-License-Identifier: Apache-2.0
"""A download or network tool, a package manager, or a one-liner that opens a connection ran inside a visit.

Gravest where the connection is tied to a shell: /dev/tcp, `nc -e`, `socat EXEC:`, a download piped into one.
Least where all that it names is the container's own loopback, as a hand-made health check does.
"""

from __future__ import annotations

import re

from controller.detect import programs
from controller.detect.commands import Invocation, invocations, shell_use
from controller.detect.destinations import only_loopback
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Network tool run inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1105", "T1071.001", "T1095")

MATCHED = ("process.exe", "process.argv", "process.user")
FETCHES = programs.words("install add update upgrade download get fetch clone pull")
CODE = re.compile(
    r"urllib|urlopen|requests\.|http\.client|httpx|aiohttp|socket|ftplib|paramiko|LWP|HTTP::|IO::Socket|open-uri|"
    r"Net::HTTP|fsockopen|curl_|https?://|require\(.(?:net|tls|https?).\)|fetch\("
)
INLINE = programs.words("-c -e -r -ne -pe")
DEV_TCP = re.compile(r"/(?:dev|inet[46]?)/(?:tcp|udp)/(?:\d+/)?(?!localhost/|127\.)")
RUNS_PROGRAM = re.compile(r"^-[a-zA-Z]*[ec]$|^--(?:sh-)?exec|\b(?i:exec|system):")
PROGRAMS, TEXT = programs.REACH_OUT, (DEV_TCP,)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each process that runs such a tool, or is told to."""
    run = invocations(event)
    if not (used := [each for each in run if _reaches_out(each)]):
        return None
    later = run[run.index(used[0]) + 1 :]
    piped = any(each.program in programs.SHELLS and shell_use(each.arguments) == "stdin" for each in later)
    if all(only_loopback(each.arguments) for each in used):
        return Finding(Severity.LOW, f"{used[0]} was run: it names only the container itself", MATCHED)
    if piped or any(_gives_shell(each) for each in used):
        return Finding(Severity.HIGH, f"a shell was tied to the network: {used[0]}", MATCHED)
    return Finding(Severity.MEDIUM, f"{used[0]} was run", MATCHED)


def _reaches_out(run: Invocation) -> bool:
    name, arguments = run.program, run.arguments
    return (
        name in programs.TRANSFER | programs.CONNECTORS
        or (name in programs.PACKAGE_MANAGERS and not FETCHES.isdisjoint(arguments))
        or (name in programs.INTERPRETERS and INLINE & {*arguments} and any(map(CODE.search, arguments)))
        or (name, *arguments[:1]) == ("openssl", "s_client")
        or any(map(DEV_TCP.search, arguments))
    )


def _gives_shell(run: Invocation) -> bool:
    how = RUNS_PROGRAM if run.program in programs.NETCATS else DEV_TCP
    return any(map(how.search, run.arguments))
