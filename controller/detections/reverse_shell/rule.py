# SPDX-License-Identifier: Apache-2.0
"""A shell began with one end of a network connection as its standard input and output.

The kernel's word on the program's descriptors at its exec, not its arguments: `nc -e`, `bash -i >& /dev/tcp/...`,
a dozen lines of Python all come to it.
"""

from __future__ import annotations

from controller.detect.programs import INTERPRETERS, MULTICALL, SHELLS
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Shell on a network connection"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1059.004", "T1095")
KINDS = frozenset({"connection"})

MATCHED = (
    "what",
    "address",
    "port",
    "protocol",
    "process.comm",
    "process.exe",
    "process.argv",
    "process.uid",
)


def rule(visit: Visit, event: Event) -> Finding | None:
    """A shell, or what may be one, is critical; any other program (an inetd service) is high in a visit alone."""
    if event["what"] != "streams":
        return None
    process = event["process"]
    names = {process["comm"], (process["exe"] or "").rpartition("/")[2]}
    far = f"{event['address']} port {event['port']}"
    if names & (SHELLS | MULTICALL | INTERPRETERS):
        return Finding(
            Severity.CRITICAL, f"{process['comm']} has its standard streams on a connection to {far}", MATCHED
        )
    if visit.entry is None:
        return None
    return Finding(Severity.HIGH, f"the program {process['comm']} was given a connection to {far}", MATCHED)
