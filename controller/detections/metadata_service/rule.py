# SPDX-License-Identifier: Apache-2.0
"""Somebody who came in connects to the cloud's metadata service, which hands out credentials of the machine."""

from __future__ import annotations

from controller.detect.destinations import METADATA
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Metadata service asked from a session"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1552.005",)
KINDS = frozenset({"connection"})

MATCHED = ("what", "address", "port", "process.comm", "process.exe", "process.argv", "process.uid")


def rule(visit: Visit, event: Event) -> Finding | None:
    """By the address that the kernel connects to: names, proxies' variables and encodings of it lead there too."""
    place = METADATA.get(event["address"])
    if visit.entry is None or event["what"] != "connect" or place is None:
        return None
    process = event["process"]
    reason = f"{process['comm']} connected to {event['address']} port {event['port']}, {place}"
    return Finding(Severity.HIGH, reason, MATCHED)
