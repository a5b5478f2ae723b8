# SPDX-License-Identifier: Apache-2.0
"""Which record belongs to which visit. Pure: visits and sayings in, pairs out, in whatever order they came.

A visit and what was said of one exec are a pair by the strongest key that both have:

    exact    the runtime's own id of the exec, or the host's pid of the process that was executed
    strong   the same container, the same command, within WINDOW_NS
    weak     the same container, within WINDOW_NS, where one of both does not say the command

An exec is of one visit, and a visit of one exec: of several that could be, the strongest is taken, of equals the
nearest in time. podman names an exec at its end at most, never when it begins: who is joined by the end has the
nearest beginning too, so that none is left over for somebody else. What contradicts itself is no pair: two ids that
differ, two commands that differ. A user's own daemon is believed about that user's visits only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Confidence = Literal["exact", "strong", "weak", "none"]
Status = Literal["recorded", "awaited", "unrecorded", "unchecked"]

WINDOW_NS: Final = 10_000_000_000
"""Between what a runtime says and what the kernel saw of it, on one host's clock: 25 to 80 ms are usual."""
EXACT_WINDOW_NS: Final = 300_000_000_000
"""For the exact keys: an exec may be made long before it is started, a pid comes back."""
RANKS: Final[dict[Confidence, int]] = {"exact": 0, "strong": 1, "weak": 2, "none": 3}

SOURCES: Final[dict[str, str]] = {
    "docker-exec": "docker",
    "podman-exec": "podman",
    "cri-exec": "containerd",
    "ctr-exec": "containerd",
}
"""Who tells of a visit by this means, where anybody does."""
UNASKED: Final = frozenset({"ns-join", "runc-exec", "proc-root", "cgroup-join", "inject"})
"""Means by which no runtime's daemon is asked, so that none can tell."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A visit, as far as a record could be of it. `time` by the host's clock, ns; `uid` of who called."""

    session: str
    means: str
    container: str | None
    time: int
    exec_id: str | None = None
    pid: int | None = None
    command: str | None = None
    """None where it is not known whole: cut, or with a secret taken out."""
    uid: int = 0
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of one exec, by one daemon or several. `time` of the first of it; `owner`: the daemon's uid."""

    key: str
    source: str
    container: str
    time: int
    exec_id: str | None = None
    pids: frozenset[int] = frozenset()
    command: str | None = None
    owner: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """That `key` is of `session`, how sure that is and why."""

    session: str
    key: str
    confidence: Confidence
    reason: str
    apart: int
    """Nanoseconds between both."""


def pair(wanted: Wanted, told: Told) -> Pair | None:
    """Whether `told` could be of `wanted`, by the strongest key of both."""
    apart = abs(wanted.time - told.time)
    if wanted.container != told.container or told.owner not in {0, wanted.uid} or apart > EXACT_WINDOW_NS:
        return None
    key = _exactly(wanted, told)
    if key is not None:
        return Pair(wanted.session, told.key, "exact", f"the {key} of {told.source}'s record", apart)
    ids_differ = bool(wanted.exec_id and told.exec_id) or bool(told.pids)
    if ids_differ or apart > WINDOW_NS or wanted.means in UNASKED:
        return None
    if wanted.command is None or told.command is None:
        return Pair(wanted.session, told.key, "weak", "the same container at about the time", apart)
    if wanted.command == told.command:
        return Pair(wanted.session, told.key, "strong", "the same container, command and time", apart)
    return None


def _exactly(wanted: Wanted, told: Told) -> str | None:
    """The exact key that both have alike."""
    if wanted.exec_id and told.exec_id:
        return "exec id" if wanted.exec_id == told.exec_id else None
    return "pid" if wanted.pid is not None and wanted.pid in told.pids else None


def assign(wanted: Iterable[Wanted], told: Iterable[Told], joined: Iterable[int] = ()) -> dict[str, Pair]:
    """The pairs, by session: one to one. The order of what is given changes nothing.

    `joined`: times of the container's visits that are joined exactly already.
    """
    wanted, told = list(wanted), list(told)
    possible = [made for one in wanted for other in told if (made := pair(one, other)) is not None]
    possible.sort(key=lambda each: (RANKS[each.confidence], each.apart, each.session, each.key))
    pairs: dict[str, Pair] = {}
    exactly = {each.session for each in possible if each.confidence == "exact"}
    times = [*joined, *(each.time for each in wanted if each.session in exactly)]
    taken = _spent(told, times)
    for each in possible:
        if each.session not in pairs and each.key not in taken:
            pairs[each.session] = each
            taken.add(each.key)
    return pairs


def _spent(told: Iterable[Told], times: Iterable[int]) -> set[str]:
    """Which nameless beginnings are those of visits that are joined exactly, by the times of these."""
    nameless = {each.key: each.time for each in told if each.source == "podman" and each.exec_id is None}
    spent: set[str] = set()
    for time in sorted(times):
        near = [(abs(at - time), key) for key, at in nameless.items() if key not in spent]
        if near and min(near)[0] <= WINDOW_NS:
            spent.add(min(near)[1])
    return spent


@dataclass(frozen=True, slots=True)
class Listening:
    """Since when a kind of source has been listened to on a host; `away` since when not any more. Host's clock."""

    source: str
    since: int
    away: int | None = None
    owner: int = 0
    """The uid that the daemon runs as."""
    delay: int = 0
    """How late its records come after the visits, the longest of late. Nanoseconds."""

    def heard(self, time: int) -> bool:
        """Whether what it said at `time` was, or will be, read."""
        return self.since <= time and (self.away is None or time < self.away)


DEADLINE_NS: Final = (5_000_000_000, 120_000_000_000)
"""Shortest and longest time that a record is waited for, by the controller's clock."""


def deadline(delay: int) -> int:
    """How long to wait for a record of a source whose usual delay is known: three times that, within bounds."""
    return min(max(DEADLINE_NS[0] + 3 * delay, DEADLINE_NS[0]), DEADLINE_NS[1])


def learned(delay: int, seen: int) -> int:
    """The usual delay after one more was seen: at once when it grows, slowly when it shrinks."""
    return max(seen, delay - delay // 32, 0)


def first(wanted: Wanted, sources: Iterable[Listening]) -> tuple[Status, str]:
    """What is said of a visit when it comes, before any record has."""
    if wanted.means in UNASKED:
        return "unrecorded", "no runtime's daemon was asked"
    source = SOURCES.get(wanted.means)
    if source is None:
        return "unchecked", "the way in is not known, so neither is who would have told"
    if wanted.runtime == "cri-o":
        return "unchecked", "CRI-O has no stream of events: nobody tells of its execs"
    if not any(_speaks_for(each, source, wanted) for each in sources):
        return "unchecked", f"no {source} has been listened to on this host"
    return "awaited", f"{source} may still tell"


def last(wanted: Wanted, sources: Iterable[Listening], lost: int = 0) -> tuple[Status, str]:
    """What is said of it when its time is up. `lost`: how many events of the host were lost meanwhile."""
    source = SOURCES.get(wanted.means, "")
    mine = [each for each in sources if _speaks_for(each, source, wanted)]
    if not any(each.heard(wanted.time) for each in mine):
        return "unchecked", f"{source} was not listened to at that time"
    if lost:
        return "unchecked", f"{lost} events of this host were lost at that time, perhaps its record"
    return "unrecorded", f"{source} was listened to at that time, and told of no such exec"


def _speaks_for(daemon: Listening, source: str, wanted: Wanted) -> bool:
    """Whether it would have told of the visit: root's daemon knows nothing of a user's, nor the other way."""
    return daemon.source == source and daemon.owner == wanted.uid
