# SPDX-License-Identifier: Apache-2.0
"""Which rules an event is shown to: those that declare nothing, and those that can find something in it.

A rule declares what it cannot do without (`Declared`); what it then decides is its own. An event is read once for all
of them, and what came of it is remembered by what was read: the same command line comes again and again. What is
remembered is bounded, for whoever is inside a container chooses its command lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controller.detect.commands import invocations, itself, shell_texts
from controller.detect.files import redirected, targets, written
from controller.detect.rule import JUDGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.detect.catalogue import Detection
    from controller.detect.rule import Event, Visit

MOST: Final = 4096
"""Command lines of which it is remembered who is asked."""
LONG: Final = 1024
"""Characters; what is asked about a longer one is found out each time."""

Key = tuple["str | None", ...]
Read = tuple[frozenset[str], str]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a rule cannot find anything without. None, or nothing: it says nothing of that."""

    means: frozenset[str] | None = None
    """The ways in, of the visit or of the event itself."""
    actions: frozenset[str] | None = None
    """What a record says was done."""
    programs: frozenset[str] = frozenset()
    """Programs that a process runs, itself or those that it is told to run: one of these, or `text`."""
    text: tuple[re.Pattern[str], ...] = ()
    """One of these in its paths, an argument, a shell's string, or a path that it writes. Each may stand by lines."""
    _lines: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_lines = tuple(re.compile(each.pattern, each.flags | re.MULTILINE) for each in self.text)
        object.__setattr__(self, "_lines", by_lines)

    @property
    def of_process(self) -> bool:
        """Whether it says what a process must be like."""
        return bool(self.programs or self.text)

    def meets(self, means: set[str | None], action: str | None, read: Read | None) -> bool:
        """Whether all that it declares is there; `read` as `_read` has it, None: there is no process to look at."""
        if self.means is not None and self.means.isdisjoint(means):
            return False
        if self.actions is not None and action is not None and action not in self.actions:
            return False
        if read is None or not self.of_process:
            return True
        programs, text = read
        return not self.programs.isdisjoint(programs) or any(each.search(text) for each in self._lines)


NOTHING: Final = Declared()
"""Of a rule that is asked about everything."""


class Interest:
    """Of the loaded detections."""

    def __init__(self, detections: Iterable[Detection], kinds: Iterable[str]) -> None:
        every = tuple(detections)
        self._of_kind: Final = {kind: tuple(each for each in every if kind in each.kinds) for kind in kinds}
        self._kept: dict[Key, tuple[Detection, ...]] = {}

    def of(self, visit: Visit, event: Event) -> tuple[Detection, ...]:
        """Those that are asked about an event of a visit, in their order."""
        asked = self._of_kind.get(event["kind"])
        if not asked:
            return ()
        key = _key(visit, event)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        means, read = {visit.means, event.get("means")}, _read(event)
        found = tuple(each for each in asked if each.declared.meets(means, event.get("action"), read))
        if sum(len(each or "") for each in key) <= LONG:
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[key] = found
        return found


def _key(visit: Visit, event: Event) -> Key:
    """All of an event that `Interest.of` goes by."""
    known = (event["kind"], visit.means, event.get("means"), event.get("action"))
    process = event.get("process") if event["kind"] in JUDGED else None
    if process is None:
        return known
    own = (process["exe"], process["filename"], process["cwd"])
    return (*known, *own, *(process["argv"] or ()))


def _read(event: Event) -> Read | None:
    """The programs that the process of an event runs, and all that stands on its command line, by lines.

    None: it tells of none. Others than those of a visit tell less of theirs, and are shown as they are.
    """
    process = event.get("process") if event["kind"] in JUDGED else None
    if process is None:
        return None
    run = (*invocations(event), *itself(event))
    given = dict.fromkeys(word for each in run for word in each.arguments)
    lines = (process["exe"] or "", process["filename"] or "", *given)
    lines = (*lines, *shell_texts(event), *redirected(event), *sorted(written(event) | targets(event)))
    return frozenset(each.program for each in run), "\n".join(lines)
