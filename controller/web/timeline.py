# SPDX-License-Identifier: Apache-2.0
"""The commands of a visit in order, with the time between them and how each ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LONG_GAP = 10_000_000_000
"""Nanoseconds without a command after which a person is thought to have paused: such a gap is marked."""


@dataclass
class Step:
    """One program that was executed. `gap` is nanoseconds since the step before it, None for the first."""

    event: str
    time: str | None
    since_entry: int
    gap: int | None
    process: Mapping[str, Any]
    end: Mapping[str, Any] | None = None
    lasted: int | None = None
    findings: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def paused(self) -> bool:
        return self.gap is not None and self.gap >= LONG_GAP


def steps(events: Sequence[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]] = ()) -> list[Step]:
    """The steps of a session, oldest first; an exit belongs to the last program that its process executed."""
    by_event: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        by_event.setdefault(finding["event"], []).append(finding)
    done: list[Step] = []
    running: dict[tuple[int, int], tuple[Step, int]] = {}
    first = previous = None
    for event in events:
        mono = event["mono"]
        if event["kind"] in {"entry", "command"}:
            first = mono if first is None else first
            process = event["process"]
            step = Step(
                event=event["id"],
                time=event.get("time"),
                since_entry=mono - first,
                gap=None if previous is None else max(0, mono - previous),
                process=process,
                findings=by_event.get(event["id"], []),
            )
            done.append(step)
            running[process["pid"], process["start"]] = (step, mono)
            previous = mono
        elif event["kind"] == "exit" and (event["pid"], event["start"]) in running:
            step, began = running.pop((event["pid"], event["start"]))
            step.end, step.lasted = event, max(0, mono - began)
    return done


def duration(nanoseconds: int | None) -> str:
    """A length of time as a person reads it: "340 ms", "2.1 s", "3 min 20 s", "5 h 2 min", "3 d 4 h"."""
    if nanoseconds is None:
        return "unknown"
    seconds = nanoseconds / 1e9
    if seconds < 1:
        return f"{nanoseconds // 1_000_000} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
