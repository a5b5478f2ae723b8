# SPDX-License-Identifier: Apache-2.0
"""Runs the rules over the events of visits, and keeps one rule's trouble away from all the others.

A rule that raises has no finding for that event; it is counted and logged, and the other rules go on. A slow
rule is counted too. Python cannot interrupt a function safely, so a slow rule is left out of the visit
on which it was slow SLOW_STRIKES times, and only of that one: were it switched off for all, somebody inside a
container could switch off a detection by what he types.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from controller.detect.interest import Interest
from controller.detect.probes import declared
from controller.detect.rule import ALONE, JUDGED, Finding, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controller.detect.catalogue import Detection
    from controller.detect.rule import Event, Severity, Visit

log = logging.getLogger(__name__)

MAX_REASON: Final = 1000
"""Characters: reasons quote command lines, which a container may make as long as it likes."""
SLOW_NS: Final = 50_000_000
"""Processor time that a rule may take for one event: a thousand times what one of ours needs."""
SLOW_STRIKES: Final = 3
MAX_STRIKES_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Raised:
    """A finding with its detection, the event it was made on, and the values that the rule looked at."""

    detection: str
    severity: Severity
    event: str
    time: int
    reason: str
    fields: dict[str, Any]


class Trouble(NamedTuple):
    """What a rule was last in trouble with, and on which event."""

    event: str
    what: Literal["failed", "slow"]
    text: str


@dataclass(slots=True)
class Cost:
    """What one rule did since it was last counted."""

    evaluations: int = 0
    findings: int = 0
    errors: int = 0
    slow: int = 0
    """Evaluations that took longer than SLOW_NS."""
    skipped: int = 0
    """Left out of a visit for having been slow there."""
    cpu_ns: int = 0

    def counts(self, name: str) -> dict[str, int]:
        """By dotted names, with the time in microseconds; what is 0 is left out."""
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        known["cpu_us"] = known.pop("cpu_ns") // 1000
        return {f"{name}.{what}": count for what, count in known.items() if count}


class Engine:
    """The loaded detections, and what it cost to run them."""

    def __init__(
        self,
        detections: Iterable[Detection],
        *,
        slow_ns: int = SLOW_NS,
        clock: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        self.detections: Final = tuple(detections)
        self._troubles: dict[str, Trouble] = {}
        self._slow_ns = slow_ns
        self._clock = clock
        self._strikes: Counter[tuple[str, str]] = Counter()
        self._by_id = {each.id: each for each in self.detections}
        self._costs = {each.id: Cost() for each in self.detections}
        self._interest: Final = Interest(self.detections, JUDGED | ALONE)

    def __getitem__(self, detection: str) -> Detection:
        """The detection of this id. KeyError: there is none, perhaps no longer."""
        return self._by_id[detection]

    def __contains__(self, detection: str) -> bool:
        return detection in self._by_id

    def evaluate(self, visit: Visit, event: Event) -> list[Raised]:
        """The findings on one event of a visit of all rules that can have one (`interest`), in their order.

        None on a declared health check and what is part of it, see `probes`.
        """
        asked = self._interest.of(visit, event)
        if not asked or declared(visit, event):
            return []
        found, began = [], self._clock()
        for each in asked:
            finding, began = self._judge(each, visit, event, began)
            if finding is not None:
                found.append(_raised(each, finding, event))
        return found

    def take_counts(self) -> dict[str, int]:
        """What was counted since the last call, "<detection>.<a field of Cost>": to be added to what is kept."""
        taken = dict(self.counts)
        self._costs = {each.id: Cost() for each in self.detections}
        return taken

    @property
    def counts(self) -> Counter[str]:
        """What was counted since `take_counts`."""
        made: Counter[str] = Counter()
        for name, cost in self._costs.items():
            made.update(cost.counts(name))
        return made

    def take_troubles(self) -> dict[str, Trouble]:
        """The latest trouble of each detection since the last call."""
        taken, self._troubles = self._troubles, {}
        return taken

    def _judge(
        self, detection: Detection, visit: Visit, event: Event, began: int
    ) -> tuple[Finding | None, int]:
        """What one rule finds, begun at `began` of the clock; and when it ended, which is when the next one begins."""
        name, strikes = detection.id, (detection.id, visit.session)
        cost = self._costs[name]
        if self._strikes.get(strikes, 0) >= SLOW_STRIKES:
            cost.skipped += 1
            return None, began
        try:
            finding = _checked(detection.rule(visit, event))
        except (
            Exception
        ) as error:  # whatever a rule raises is its own trouble: it is counted and logged, the others go on
            log.exception("detection %s failed on event %s", name, event["id"])
            cost.errors += 1
            self._troubles[name] = Trouble(event["id"], "failed", repr(error)[:MAX_REASON])
            finding = None
        ended = self._clock()
        took = ended - began
        cost.evaluations += 1
        cost.cpu_ns += took
        cost.findings += finding is not None
        if took > self._slow_ns:
            self._strike(strikes, took, event)
            return finding, self._clock()  # to say so is not the next one's time
        return finding, ended

    def _strike(self, strikes: tuple[str, str], took: int, event: Event) -> None:
        name, session = strikes
        if len(self._strikes) >= MAX_STRIKES_KEPT:
            self._strikes.clear()
        self._strikes[strikes] += 1
        self._costs[name].slow += 1
        self._troubles[name] = Trouble(event["id"], "slow", f"took {took // 1_000_000} ms of processor time")
        log.warning(
            "detection %s took %d ms for event %s; strike %d of %d for session %s",
            name,
            took // 1_000_000,
            event["id"],
            self._strikes[strikes],
            SLOW_STRIKES,
            session,
        )


def _checked(returned: object) -> Finding | None:
    if returned is None or isinstance(returned, Finding):
        return returned
    raise TypeError(f"a rule returns a Finding or None, not {type(returned).__name__}")


def _raised(detection: Detection, finding: Finding, event: Event) -> Raised:
    fields = {path: value_at(event, path) for path in finding.matched}
    reason = finding.reason[:MAX_REASON]
    return Raised(detection.id, finding.severity, event["id"], event["time"], reason, fields)
