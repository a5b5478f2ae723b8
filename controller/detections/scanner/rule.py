# SPDX-License-Identifier: Apache-2.0
"""Ports or hosts were scanned from inside a visit: by a scanner, by netcat in scan mode over a range, or by a loop.

One port of one host by `nc -z` is how people test a connection, and silent.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, shell_texts
from controller.detect.once import once
from controller.detect.programs import NETCATS, SCANNERS
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Network scan from inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1046",)

MATCHED = ("process.exe", "process.argv", "process.user")
PINGS = frozenset({"ping", "ping6", "arping"})
MANY = 5  # single probes of a visit that together are a scan
RANGE = re.compile(r"/(?:[89]|[12]\d|3[01])$|\.\d+-\d+$|\.\*|^\d+-\d+$|^-$|^-p-$")
LOOP = re.compile(
    r"\b(?:for|while(?!\s+!)|seq|xargs)\b.*(?:/dev/(?:tcp|udp)/|\bn(?:c|cat|etcat)\b[^;|]*\s-\w*z)", re.DOTALL
)


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on a scanner, on a range, on a loop over ports, and once single probes are many."""
    run = invocations(event)
    if tool := next((each for each in run if each.program in SCANNERS), None):
        wide = any(map(RANGE.search, tool.arguments))
        return Finding(Severity.HIGH if wide else Severity.MEDIUM, f"a scanner was run: {tool}", MATCHED)
    if any(map(LOOP.search, shell_texts(event))):
        return Finding(Severity.HIGH, "a shell's loop tried one address or port after the other", MATCHED)
    mine = _probed(event)
    if any(RANGE.search(word) for target in mine for word in target):
        return Finding(Severity.HIGH, f"a range was given: {' '.join(next(iter(sorted(mine))))}", MATCHED)
    earlier = {target for each in visit.before(event) for target in _probed(each)}
    if mine - earlier and len(mine | earlier) >= MANY:
        return Finding(
            Severity.MEDIUM, f"{len(mine | earlier)} ports or addresses were tried one by one", MATCHED
        )
    return None


@once
def _probed(event: Event) -> set[tuple[str, ...]]:
    """What netcats only looked at, `-z`: the operands of each; and whom a ping was sent to."""
    run = invocations(event)
    scans = [each for each in run if each.program in NETCATS and _scans(each.arguments)]
    pinged = {("ping", each.arguments[-1]) for each in run if each.program in PINGS and each.arguments}
    return pinged | {tuple(word for word in each.arguments if not word.startswith("-")) for each in scans}


def _scans(arguments: tuple[str, ...]) -> bool:
    return any(re.fullmatch(r"-[a-zA-Z]*z[a-zA-Z0-9]*", word) for word in arguments)
