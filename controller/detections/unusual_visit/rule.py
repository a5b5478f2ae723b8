# SPDX-License-Identifier: Apache-2.0
"""Somebody came in otherwise than in any visit there that was approved: who, by which way, when, or to run what.

Visits teach only when a person approves them; where nobody has, this is silent. Of the commands, the one that the
visit began with is compared whole, of those after it the program, and the first that is new is told.
"""

from __future__ import annotations

from controller.detect.baseline import Normal, Trait, of_arrival, of_execution, program_of
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Visit unlike those that were approved"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("T1609", "T1078")

MATCHED = ("means", "login", "process.exe", "process.filename", "process.argv", "container.image")
TOLD = {
    "principal": "it is by {}",
    "means": "it came by {}",
    "hour": "it is the hour {} (UTC)",
    "program": "it ran {}",
    "arguments": "its command is like {}",
}


def rule(visit: Visit, event: Event) -> Finding | None:
    """Fires on what opened the visit, and on the first program after it that is new."""
    opening, normal = visit.entry, visit.normal
    if not normal.judges("visit") or opening is None:
        return None
    if opening["kind"] == "escape" or opening["means"] in {"probe", "unknown"}:
        return None
    if event["id"] == opening["id"]:
        traits = {*of_arrival(opening, visit.who), *of_execution(event, {})}
    elif any(_new(normal, each) for each in _programs(visit.before(event))):
        return None
    else:
        traits = set(_programs((event,)))
    new = {each.facet: each.value for each in traits if each.facet in TOLD and _new(normal, each)}
    if not new:
        return None
    said = ", ".join(words.format(new[facet]) for facet, words in TOLD.items() if facet in new)
    severity = Severity.LOW if new.keys() <= {"hour", "arguments"} else Severity.MEDIUM
    return Finding(severity, f"{said}: no approved visit to {' or '.join(normal.subjects)} did", MATCHED)


def _programs(executions: tuple[Event, ...]) -> list[Trait]:
    return [Trait("visit", "program", each) for each in map(program_of, executions) if each is not None]


def _new(normal: Normal, trait: Trait) -> bool:
    """Whether approved visits tell of such a thing, and never of this one. An hour beside one of theirs is theirs."""
    usual = normal.usual("visit", trait.facet)
    if not usual or not normal.outside(trait):
        return False
    return trait.facet != "hour" or all(abs(int(trait.value) - int(each)) not in {1, 23} for each in usual)
