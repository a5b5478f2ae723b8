# SPDX-License-Identifier: Apache-2.0
"""What a crossing was in which nothing was executed: an attempt, an escape, or a daemon's errand. Pure.

Daemons join in one thread, or join and come back, for a network or a copy. Whoever else joins a running
container's mounts has its files at hand, and needs no program for them.
"""

from __future__ import annotations

from typing import Final

from sensor.entry.crossing import Attempted, Crossing, Escaped, Outcome, Released
from sensor.entry.places import Containers
from sensor.entry.stray import left_by_join
from sensor.probe.layout import Exec, Exit, Flag, Setns

STAY_NS: Final = 20_000_000_000
"""How long somebody must be inside to have come to stay: a runtime that joins executes sooner. Nanoseconds."""


def runs(event: Setns, containers: Containers) -> bool:
    """Whether what is joined is a running container's: a runtime joins what it has just made for a start."""
    kinds = event.joined.joined_since(event.home)
    if "mnt" in kinds:
        return containers.container_at(event.joined.mnt) is not None
    owner = containers.owner(kinds, event.joined)
    return owner.shared or owner.container is not None


def judge(crossing: Crossing, event: Exit | Setns, containers: Containers) -> Outcome:
    """What it was, now that its last process is gone or has come back."""
    came_back = isinstance(event, Setns)
    nothing = Released(crossing.cookie, "returned" if came_back else "no-exec")
    joined = event.joined.joined_since(event.home)
    # `podman cp` joins in one of its threads, which may be the first.
    copied = crossing.setns is not None and containers.copies(crossing.setns)
    errand = (came_back or Flag.THREAD in event.head.flags) and not ("mnt" in joined and crossing.runs)
    if joined == ["net"] or copied or errand:
        return nothing
    if crossing.setns and (escape := left_by_join(event.home, event.joined, containers)):
        return Escaped(crossing, event, escape[1], escape[0], crossing.outer)
    crossing.owner = containers.owner(joined, event.joined)
    return Attempted(crossing, event, joined) if crossing.owner.container else nothing


def may_stay(crossing: Crossing) -> bool:
    """Whether it is still to be seen if somebody of this crossing has come to stay."""
    return crossing.runs and not (crossing.entered or crossing.stayed or crossing.looked)


def is_due(crossing: Crossing, now: int) -> bool:
    """Whether it is time to look."""
    return may_stay(crossing) and now - crossing.began > STAY_NS


def has_come_to_stay(crossing: Crossing, event: Exec, containers: Containers) -> bool:
    """Whether `event`, a process as it is now, is inside the container that its crossing led into."""
    joined = event.joined.joined_since(event.home)
    copied = crossing.setns is not None and containers.copies(crossing.setns)
    if "mnt" not in joined or copied:
        return False
    crossing.owner = containers.owner(joined, event.joined)
    return crossing.owner.container is not None
