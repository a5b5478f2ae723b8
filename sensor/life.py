# SPDX-License-Identifier: Apache-2.0
"""Notes of the sensor's own life: when it began and ended, who meant to end it, and when nobody watched."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Final, Literal

from sensor import __version__
from sensor.enrich import procfs
from sensor.entry.lineage import Lineage, login_of
from sensor.probe import Probe
from sensor.probe.layout import Step
from sensor.probe.signals import Signal
from sensor.recall import Place
from sensor.wire import AgentNote, Event

MAX_SIGNALS: Final = 64
"""Signals that are told of in one run of the sensor; more are counted."""

Action = Literal["started", "stopped", "hooks", "gap", "signal", "blind", "mended"]


class Life:
    """Makes the notes, on the probe's thread."""

    def __init__(
        self,
        next_id: Callable[[], str],
        emit: Callable[[Event], None],
        lineage: Lineage,
        user_name: Callable[[int], str | None],
        wall: Callable[[int], int],
        count: Callable[[str], None],
    ) -> None:
        self._next_id = next_id
        self._emit = emit
        self._lineage = lineage
        self._user_name = user_name
        self._wall = wall
        self._count = count
        self._signals = 0
        start = procfs.stat_start(os.getpid())
        self._own = (os.getpid(), start or 0)
        self.before: Place | None = None
        """Where the sensor before was last known to be."""
        self.probe: Probe | None = None
        """By which the sensor watches; None before it does."""

    def note(
        self, action: Action, reason: str | None = None, *, mono: int | None = None, **more: object
    ) -> None:
        """Tell the controller; `mono` is now unless it is given."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if mono is None else mono
        note = AgentNote(
            id=self._next_id(),
            time=time.time_ns() if mono is None else self._wall(mono),
            mono=now,
            kind="agent",
            action=action,
            version=__version__,
            loader=self.probe.loader if self.probe else None,
            hooks=self.probe.hooks if self.probe else {},
            reason=reason,
        )
        note.update(more)  # type: ignore[typeddict-item]
        self._emit(note)

    def gap(self, *, recorded: bool) -> None:
        """Tell since when no sensor ran, if one ran before this one."""
        if self.before is None:
            return
        reason = None if recorded else "nothing was pinned that this sensor could go on from"
        self.note("gap", reason, since=self.before.time, recorded=recorded)

    def signalled(self, event: Signal) -> None:
        """Tell who sent this sensor, or the one before it, a signal that can end it."""
        before = (self.before.pid, self.before.start) if self.before else None
        target = (event.target, event.target_start)
        if not any(each and _same(each, target) for each in (self._own, before)):
            return  # another process, which has the pid by now
        self._signals += 1
        if self._signals > MAX_SIGNALS:
            self._count("agent.signals_not_told")
            return
        head, task = event.head, event.task
        who = Step(head.start, head.pid, head.uid, task.ns.mnt, task.login_uid, task.comm)
        self.note(
            "signal",
            signal.Signals(event.number).name,
            mono=head.time,
            signal=event.number,
            sent_by=None if event.from_kernel else self._lineage.step(who),
            ancestry=[] if event.from_kernel else self._lineage.ancestors(event.ancestry),
            login=None
            if event.from_kernel
            else login_of(task.login_uid, task.login_session, self._user_name),
        )


def _same(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] == other[0] and procfs.same_start(one[1], other[1])
