# SPDX-License-Identifier: Apache-2.0
"""The sensor found that it was made blind, or was killed: by its own notes, which also the next sensor writes.

It looks after its programs, maps and pins at each heartbeat, does what its hooks have to see, and its programs record
who sends it a signal.
"""

from __future__ import annotations

from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Sensor blinded"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1562.001",)
KINDS = frozenset({"agent"})

MATCHED = ("action", "reason", "hooks", "loader", "signal", "sent_by.pid", "sent_by.argv", "login.user")
KILLS = frozenset({"SIGKILL", "SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL"})
"""Signals by which nobody asks a service to end."""


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on what is wrong with its own, and on a kill by anybody but init. That it was mended is silent."""
    if event["action"] == "blind":
        return Finding(Severity.HIGH, f"the sensor does not see as it did: {event['reason']}", MATCHED)
    sender = event.get("sent_by")
    if event["action"] != "signal" or event["reason"] not in KILLS or sender is None or sender["pid"] == 1:
        return None
    called = " ".join(sender["argv"] or [sender["comm"]])
    return Finding(Severity.HIGH, f"the sensor was sent {event['reason']} by {called}", MATCHED)
