# SPDX-License-Identifier: Apache-2.0
"""The commands of a visit in order, with the time between them and how each ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.web.tree import by_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controller.store.views import Execution, FindingView

LONG_GAP = 10_000_000_000
"""Nanoseconds without a command after which a person seems to have paused: such a gap is marked."""


@dataclass
class Step:
    """One program that was executed. Times are nanoseconds; `gap` is None for the first."""

    execution: Execution
    since_entry: int
    gap: int | None
    lasted: int | None
    """None while it runs, or when its end is not known."""
    findings: list[FindingView]

    @property
    def paused(self) -> bool:
        """A person seems to have waited before this step."""
        return self.gap is not None and self.gap >= LONG_GAP


def steps(executions: Sequence[Execution], findings: Iterable[FindingView] = ()) -> list[Step]:
    """The steps of a session, oldest first."""
    found = by_event(findings)
    done: list[Step] = []
    previous: int | None = None
    for execution in executions:
        mono, ended = execution["mono"], execution["ended_ns"]
        done.append(
            Step(
                execution=execution,
                since_entry=mono - executions[0]["mono"],
                gap=None if previous is None else max(0, mono - previous),
                lasted=None if ended is None else max(0, ended - execution["time_ns"]),
                findings=found.get(execution["event"], []),
            )
        )
        previous = mono
    return done


def duration(nanoseconds: int) -> str:
    """A length of time as a person reads it: "340 ms", "2.1 s", "3 min 20 s", "5 h 2 min", "3 d 4 h"."""
    seconds = nanoseconds // 1_000_000_000
    for size, unit, step, smaller in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // step} {smaller}"
    return f"{nanoseconds / 1e9:.1f} s" if seconds else f"{nanoseconds // 1_000_000} ms"


_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
