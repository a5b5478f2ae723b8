# SPDX-License-Identifier: Apache-2.0
"""A process inside a container connected to the socket of a runtime's daemon that runs outside of it.

Whoever may do that has a container made with the host's root folder in it: he is root on the host. What he asks
for there is not seen; that he asks is.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Runtime socket used from inside a container"
SEVERITY = Severity.CRITICAL
TECHNIQUES = ("T1610", "T1611", "T1552.007")
KINDS = frozenset({"contact"})

MATCHED = (
    "place",
    "runtime",
    "container.id",
    "daemon.comm",
    "daemon_container",
    "process.argv",
    "process.uid",
)


def rule(visit: Visit, event: Event) -> Finding | None:
    """A daemon that runs in the same container (Docker in Docker) is that container's own affair."""
    container = event["container"]
    if container is None or event["daemon_container"] == container["id"]:
        return None
    severity = Severity.CRITICAL if visit.entry is not None else Severity.HIGH
    who = "the visitor" if visit.entry is not None else "the container"
    where = "" if event["daemon_container"] is None else " of a daemon in another container"
    socket, process = f"{event['runtime']}'s socket {event['place']}{where}", event["process"]
    return Finding(severity, f"{who} connected to {socket} with {process['exe'] or process['comm']}", MATCHED)
