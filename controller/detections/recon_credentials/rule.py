# SPDX-License-Identifier: Apache-2.0
"""Somebody looked round inside a container, or reached for credentials there.

One look (`id`, `ps`) says nothing; two different ones in a visit are a pattern, four a stronger one. One path
of a credential in a command is enough, and gravest; a dump of the environment stands between.
"""

from __future__ import annotations

import re

from controller.detect import credentials
from controller.detect.commands import Invocation, invocations
from controller.detect.once import once
from controller.detect.programs import LOOKS
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Reconnaissance or credential reading inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1552.001", "T1552.007", "T1003.008", "T1082", "T1057")
FEW, MANY = 2, 4  # how many different looks make a pattern, and a strong one
MATCHED = ("process.exe", "process.argv", "process.user")
LOOKED_AT = re.compile(
    r"^/etc/(?:passwd|group|os-release|issue|hosts|resolv\.conf)$|^/proc/(?:version|cpuinfo|mounts|(?:1|self)/"
    r"(?:cgroup|status|mountinfo|mounts|attr/current|ns)/?)$|^/proc/net/(?:tcp|udp)6?$|^/proc/net/(?:unix|route|arp|fib_trie)$|/\.dockerenv$"
)


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on a credential each time, on looking round each time the visit has a new way of it."""
    run = invocations(event)
    cwd = (event.get("process") or {}).get("cwd")
    paths = [path for each in run if (path := credentials.path(each, cwd))]
    if paths:
        return Finding(
            Severity.HIGH, f"{run[0].program} was given the path of a credential: {paths[0]}", MATCHED
        )
    if search := next(filter(credentials.searches, run), None):
        return Finding(Severity.MEDIUM, f"folders were searched for secrets: {search}", MATCHED)
    if run and event["process"]["argv"] is not None and any(map(_dumps_environment, run)):
        return Finding(Severity.MEDIUM, "the environment, which often holds secrets, was printed", MATCHED)
    earlier = {look for each in visit.before(event) for look in _looks(each)}
    looks = earlier | _looks(event)
    if len(looks) < FEW or looks == earlier:
        return None
    severity = Severity.LOW if len(looks) < MANY else Severity.MEDIUM
    return Finding(severity, f"{len(looks)} ways of looking round: {', '.join(sorted(looks))}", MATCHED)


@once
def _looks(event: Event) -> set[str]:
    run = invocations(event)
    named = {each.program for each in run if each.program in LOOKS}
    return named | {word for each in run for word in each.arguments if LOOKED_AT.search(word)}


def _dumps_environment(run: Invocation) -> bool:
    return run.program == "printenv" or (run.program == "env" and all("=" in each for each in run.arguments))
