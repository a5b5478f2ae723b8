# SPDX-License-Identifier: Apache-2.0
"""The pod's service account token was read by hand, or used against the API server.

Its own programs read it too, but by opening it; here a command line names it. Gravest where the same visit also
speaks to the API server.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations, shell_texts
from controller.detect.once import once
from controller.detect.programs import RUNTIME_CLIENTS, TRANSFER
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Service account token taken"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1552.007", "T1528", "T1550.001")

MATCHED = ("process.exe", "process.argv", "process.user", "process.cwd")
TOKEN = re.compile(
    r"(?:secrets/kubernetes\.io|kubernetes\.io)/serviceaccount(?:/(?:token|\.\.data\S*)|/?(?:\s|$|\*))"
)
SERVER = re.compile(r"kubernetes\.default|KUBERNETES_SERVICE_HOST|:6443\b|/api/v1\b|/apis/")
PROGRAMS = TRANSFER | RUNTIME_CLIENTS
TEXT = (TOKEN,)


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on a command line that names the token, and on the first use of the API server after it."""
    reads = _names_token(event)
    earlier = any(map(_names_token, visit.before(event)))
    if not reads and not earlier:
        return None
    if _asks_server(event):
        return Finding(
            Severity.CRITICAL, "the service account's token was read, and the API server asked", MATCHED
        )
    if not reads:
        return None
    return Finding(Severity.HIGH, "the service account's token was named on a command line", MATCHED)


@once
def _names_token(event: Event) -> bool:
    given = [word for each in invocations(event) for word in each.arguments]
    return any(map(TOKEN.search, (*given, *shell_texts(event))))


def _asks_server(event: Event) -> bool:
    run = invocations(event)
    asks = [each for each in run if each.program in TRANSFER and any(map(SERVER.search, each.arguments))]
    return bool(asks) or any(each.program in RUNTIME_CLIENTS and each.program != "docker" for each in run)
