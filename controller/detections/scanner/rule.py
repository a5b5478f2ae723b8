# SPDX-License-Identifier: Apache-2.0
"""Ports or hosts were scanned from inside a visit: by a scanner, by netcat in scan mode over a range, or by a loop.

One port of one host by `nc -z` is how people test a connection, and silent.
"""

from __future__ import annotations

from controller.detect.commands import invocations, shell_texts
from controller.detect.programs import INTERPRETERS, SCANNERS
from controller.detect.rule import Event, Finding, Severity, Visit
from controller.detect.scans import LOOP, RANGE, TRIES, has_options, probed

TITLE = "Network scan from inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1046",)

MATCHED = ("process.exe", "process.argv", "process.user")
MANY = 5  # single probes of a visit that together are a scan


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on a scanner or its options, on a range, on a loop over ports, and once single probes are many."""
    said = _scan(event)
    if said is not None:
        return Finding(said[0], said[1], MATCHED)
    mine = probed(event)
    if any(RANGE.search(word) for target in mine for word in target):
        return Finding(Severity.HIGH, f"a range was given: {' '.join(next(iter(sorted(mine))))}", MATCHED)
    earlier = {target for each in visit.before(event) for target in probed(each)}
    if mine - earlier and len(mine | earlier) >= MANY:
        return Finding(
            Severity.MEDIUM, f"{len(mine | earlier)} ports or addresses were tried one by one", MATCHED
        )
    return None


def _scan(event: Event) -> tuple[Severity, str] | None:
    run = invocations(event)
    if tool := next((each for each in run if each.program in SCANNERS), None):
        wide = any(map(RANGE.search, tool.arguments))
        return Severity.HIGH if wide else Severity.MEDIUM, f"a scanner was run: {tool}"
    if unnamed := next((each for each in run if has_options(each.arguments)), None):
        return Severity.HIGH, f"a scanner's options were given: {unnamed}"
    if any(map(LOOP.search, shell_texts(event))):
        return Severity.HIGH, "a shell's loop tried one address or port after the other"
    code = [word for each in run if each.program in INTERPRETERS for word in each.arguments]
    if any(map(TRIES.search, code)):
        return Severity.MEDIUM, "an interpreter's loop tried one address or port after the other"
    return None
