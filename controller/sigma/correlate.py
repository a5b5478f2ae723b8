# SPDX-License-Identifier: Apache-2.0
"""Correlation rules: event_count, value_count, temporal and temporal_ordered over what other rules match.

Windows are kept in memory, bounded, by the events' own time; after a restart they are filled again from the store (see
controller.detect.warming). An event that is judged again, because more is known of it, counts once.
"""

from __future__ import annotations

import operator
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.detect.rule import Event, Visit

MAX_GROUPS: Final = 4096
MAX_IN_GROUP: Final = 4096
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "EQ": operator.eq,
    "NEQ": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Base:
    """A rule that is counted: its name in the correlation, whether it matches, and how its fields are read."""

    name: str
    matches: Callable[[Visit, Event], bool]
    groups: Sequence[Callable[[Visit, Event], list[Any]]]
    value: Callable[[Visit, Event], list[Any]] | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One event that a base rule matched."""

    time: int
    event: str
    base: str
    value: str | None


class Window:
    """The state of one correlation rule."""

    def __init__(
        self, type_: str, bases: Sequence[Base], span_ns: int, condition: tuple[str, float] | None
    ) -> None:
        """`condition`: the operator's name and the number, of counts."""
        self._type = type_
        self._bases = bases
        self.span: Final = span_ns
        self._condition = condition
        self._groups: OrderedDict[tuple[str, ...], deque[Hit]] = OrderedDict()

    def see(self, visit: Visit, event: Event) -> str | None:
        """Takes the event in; why the rule fires on it, in words, or None."""
        said = None
        for base in self._bases:
            if not base.matches(visit, event):
                continue
            key = tuple(_first(read(visit, event)) or "" for read in base.groups)
            if base.groups and not any(key):
                continue  # nothing to group it by is known
            value = _first(base.value(visit, event)) if base.value is not None else None
            hits = self._add(key, Hit(event["time"], event["id"], base.name, value))
            said = self._judge(hits, key) or said
        return said

    def _add(self, key: tuple[str, ...], hit: Hit) -> Sequence[Hit]:
        hits = self._groups.pop(key, None) or deque(maxlen=MAX_IN_GROUP)
        self._groups[key] = hits
        if len(self._groups) > MAX_GROUPS:
            self._groups.popitem(last=False)
        if not any(each.event == hit.event and each.base == hit.base for each in hits):
            hits.append(hit)
        newest = max(each.time for each in hits)
        while hits and hits[0].time < newest - self.span:
            hits.popleft()
        return [each for each in hits if hit.time - self.span <= each.time <= hit.time]

    def _judge(self, hits: Sequence[Hit], key: tuple[str, ...]) -> str | None:
        of = f" for {', '.join(key)}" if key else ""
        within = f"within {self.span // 1_000_000_000} s{of}"
        if self._type in {"temporal", "temporal_ordered"}:
            names = [each.name for each in self._bases]
            ordered = [each.base for each in sorted(hits, key=lambda each: each.time)]
            together = (
                _in_order(names, ordered) if self._type == "temporal_ordered" else set(names) <= set(ordered)
            )
            return f"{', '.join(names)} {within}" if together else None
        values = {each.value for each in hits if each.value is not None}
        count = len(values) if self._type == "value_count" else len(hits)
        assert self._condition is not None  # noqa: S101 - counts have one
        ask, than = self._condition
        what = "different values" if self._type == "value_count" else "events"
        return f"{count} {what} {within}" if _OPERATORS[ask](count, than) else None


def _in_order(wanted: Sequence[str], seen: Sequence[str]) -> bool:
    rest = iter(seen)
    return all(any(each == name for each in rest) for name in wanted)


def _first(values: Sequence[Any]) -> str | None:
    return str(values[0]) if values else None


def alias(aliases: Mapping[str, Mapping[str, str]], field: str, base: str) -> str:
    """What the field of the correlation is called in the rule `base`."""
    return aliases.get(field, {}).get(base, field)
