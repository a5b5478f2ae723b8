# SPDX-License-Identifier: Apache-2.0
"""A container runtime's client, or kubectl, was used inside a container to do something: exec, run, create, delete.

Whoever can reach a runtime or an API server from inside is one command from the next container. Verbs that only
look are `container_discovery`'s.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.programs import RUNTIME_CLIENTS, TRANSFER, words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Container client used inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1609", "T1610")

MATCHED = ("process.exe", "process.argv", "process.user")
ENTERS = words("exec attach run create start debug cp runp port-forward proxy")
CHANGES = words(
    "apply delete edit patch replace scale set label annotate expose rollout cordon drain taint rm rmi stop kill "
    "pause update commit build push pull load import save export install upgrade uninstall"
)
READS = words("get list ls ps images inspect describe info logs top version help config auth api-resources")


ACTION = re.compile(
    r"/(?:containers|images)/(?:create\b|[\w.-]+/(?:exec|start|attach|kill|archive)\b)|/exec/[\w.-]+/start\b"
)
PROGRAMS = RUNTIME_CLIENTS | TRANSFER


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each client that is given a verb which acts; the first verb on its line counts."""
    for run in invocations(event):
        asked = (found[0] for word in run.arguments if (found := ACTION.search(word)))
        if run.program in TRANSFER and (path := next(asked, None)):
            return Finding(Severity.HIGH, f"a runtime's API was told to act: {path}", MATCHED)
        if run.program not in RUNTIME_CLIENTS:
            continue
        verb = next((word for word in run.arguments if word in ENTERS | CHANGES | READS), None)
        if verb in ENTERS:
            return Finding(Severity.HIGH, f"{run.program} {verb} was run inside a container: {run}", MATCHED)
        if verb in CHANGES:
            return Finding(
                Severity.MEDIUM, f"{run.program} {verb} was run inside a container: {run}", MATCHED
            )
    return None
