# SPDX-License-Identifier: Apache-2.0
"""A container did of itself what none of its kind ever did: another program, or a destination that is new.

Judged by the baselines of its image and its workload, once both have learned. What nobody entered for is what a
break-in through the application itself looks like.
"""

from __future__ import annotations

from controller.detect.baseline import Trait, of_activity
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Container does what it never did"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1059.004", "T1610")
KINDS = frozenset({"activity"})

TOLD = {
    "digest": "another file than before as",
    "program": "a program that is new here,",
    "destination": "a destination that is new here,",
}


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on programs, their digests and destinations. Arguments and users vary too much to alert by themselves."""
    new = [each for each in of_activity(event) if each.facet in TOLD and visit.normal.outside(each)]
    if not new:
        return None
    severity = Severity.LOW if all(each.facet == "destination" for each in new) else Severity.MEDIUM
    what = " and ".join(f"{TOLD[each.facet]} {_told(each)}" for each in new)
    return Finding(
        severity,
        f"it used {what}, unknown to the baseline of {' and '.join(visit.normal.subjects)}",
        ("exe", "digest", "filename", "argv", "parent_exe", "address", "port", "count"),
    )


def _told(trait: Trait) -> str:
    path, _, digest = trait.value.rpartition(" ")
    return f"{path} (SHA-256 {digest})" if trait.facet == "digest" else trait.value
