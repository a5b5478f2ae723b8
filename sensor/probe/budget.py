# SPDX-License-Identifier: Apache-2.0
"""What sessions may have told, as bpf/budget.h keeps it: what was left out of each, and what lives of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

from sensor.probe.layout import BUDGET, MARK
from sensor.probe.libbpf import walk

_KINDS: Final = 6
_CGROUP: Final = 1 << 63
_MOST_MARKS: Final = 2 * 65536
"""Twice what the map holds: it changes meanwhile, and a key that is gone begins the walk anew."""


class Budgets:
    """Reads the maps, by libbpf whichever loader made them."""

    def __init__(self, library: ctypes.CDLL, descriptor: Callable[[str], int]) -> None:
        self._lib = library
        self._budgets, self._marks = descriptor("budgets"), descriptor("marks")

    def left_out(self) -> dict[int, int]:
        """Commands that were left out since the session began, by its cookie. Some ms for 4096 sessions."""
        found = {}
        for key, value in walk(self._lib, self._budgets, 8, BUDGET.size, 8192):
            cookie, commands = int.from_bytes(key, "little"), BUDGET.unpack(value)[_KINDS]
            if commands and not cookie & _CGROUP:
                found[cookie] = commands
        return found

    def followed(self) -> set[int] | None:
        """Cookies of the crossings that a live task belongs to; None when they changed too fast to be told.

        Takes some microseconds for each task that is followed.
        """
        found = set()
        steps = 0
        for _, value in walk(self._lib, self._marks, 4, MARK.size, _MOST_MARKS):
            found.add(MARK.unpack(value)[0])
            steps += 1
        return found if steps < _MOST_MARKS else None
