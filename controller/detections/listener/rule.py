# SPDX-License-Identifier: Apache-2.0
"""Somebody who came in opened a listening socket in the container: a way back, or a place to pass things through."""

from __future__ import annotations

from controller.detect.destinations import is_loopback
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Listening socket opened in a session"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1571", "T1095")
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
    """Low on the loopback: only the container itself, or its pod, reaches that."""
    if visit.entry is None or event["what"] != "listen":
        return None
    inside = is_loopback(event["address"])
    where = f"{event['address']} port {event['port']}"
    reach = "the loopback" if inside else "an address that others reach"
    return Finding(
        Severity.LOW if inside else Severity.MEDIUM,
        f"{event['process']['comm']} listens on {where}, {reach}",
        MATCHED,
    )
