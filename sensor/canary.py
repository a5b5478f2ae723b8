# SPDX-License-Identifier: Apache-2.0
"""Does itself what each hook has to see, and says which of them saw nothing.

A program can be attached and yet never run: tracing switched off, a link taken away by another. The sensor joins a
namespace that it is in, which a counter shows; and with a mark of its own it starts a program that does nothing,
whose fork, exec and exit come through the ring like those of a visitor. None of it is told.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import threading
from pathlib import Path
from typing import Final

from sensor.entry import visitors
from sensor.probe import Probe
from sensor.probe.layout import Exec, Exit, Fork, KernelEvent, mark

_SEEN_AS: Final = {Fork: "fork", Exec: "exec", Exit: "exit"}
_SETNS_COUNTERS: Final = ("kernel.setns", "kernel.setns_no_change")
_CLONE_NEWUTS: Final = 0x04000000
"""Named, not 0 for any: so a unit can forbid the sensor every other kind (RestrictNamespaces=uts)."""


class Canary:
    """One at a time: sing(), some time later silent(). On the probe's thread."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._program = shutil.which("true", path="/usr/bin:/bin")
        self._cookie = 0
        self._lost = 0
        self._waits_for: set[str] = set()

    def sing(self, probe: Probe) -> None:
        """Do what has to be seen. Takes some milliseconds. Raises OSError or ProbeError."""
        self._waits_for = set()
        counters = probe.counters()
        self._lost = counters.get("kernel.lost.ring", 0)
        before = sum(counters.get(name, 0) for name in _SETNS_COUNTERS)
        self._join_own()
        counters = probe.counters()
        if sum(counters.get(name, 0) for name in _SETNS_COUNTERS) == before:
            self._waits_for.add("setns")
        self._start_program(probe)

    def _join_own(self) -> None:
        # Of the kinds that a process with several threads may join.
        with Path("/proc/self/ns/uts").open("rb") as namespace:
            self._libc.setns(namespace.fileno(), _CLONE_NEWUTS)

    def _start_program(self, probe: Probe) -> None:
        own = visitors.namespaces(os.getpid())
        if self._program is None or own is None:
            return
        self._cookie = visitors.new_cookie()
        self._waits_for |= set(_SEEN_AS.values())
        tid = threading.get_native_id()
        probe.mark(tid, mark(self._cookie, own, own))
        try:
            child = os.posix_spawn(self._program, [self._program], {})
        finally:
            probe.unmark(tid)
        os.waitpid(child, 0)

    def heard(self, event: KernelEvent) -> bool:
        """Whether this event is of its own doing, and to be told on to nobody."""
        if not self._cookie or event.head.cookie != self._cookie:
            return False
        self._waits_for.discard(_SEEN_AS.get(type(event), ""))
        return True

    def silent(self, probe: Probe) -> list[str]:
        """Hooks that have not seen it until now; none where the ring lost events meanwhile, for that is told."""
        if probe.counters().get("kernel.lost.ring", 0) != self._lost:
            return []
        return sorted(self._waits_for)
