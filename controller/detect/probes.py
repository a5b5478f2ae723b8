# SPDX-License-Identifier: Apache-2.0
"""What of a visit by `probe` the container's configuration declares: no rule is asked about that.

The sensor calls an entry a probe only if it executed exactly the declared health check. So its first command is
declared (of one whose program is absent: its attempt), and so is a program that the declared command names and
its own shell runs (`curl` of
"curl -f localhost || exit 1"), whatever its arguments have become. What a script does that the check calls is
not declared anywhere; of that the alert takes what is grave (`alerts.PROBE_FLOOR`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.detect.commands import invocations, itself

if TYPE_CHECKING:
    from controller.detect.rule import Event, Visit


def declared(visit: Visit, event: Event) -> bool:
    """Whether `event` is the health check that the container declares, or a part of it."""
    entry = visit.entry
    if entry is None or entry["means"] != "probe" or entry["kind"] == "escape":
        return False
    if event["kind"] != "command" or entry["kind"] == "attempt":
        return bool(event["id"] == entry["id"])
    if event["parent"] != entry["process"]["pid"] and event["process"]["pid"] != entry["process"]["pid"]:
        return False
    named = {each.program for each in invocations(entry)}
    return any(each.program in named for each in itself(event))
