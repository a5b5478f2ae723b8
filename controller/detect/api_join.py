# SPDX-License-Identifier: Apache-2.0
"""Which request to a Kubernetes API server belongs to which visit to a pod. Pure, in whatever order both came.

No id is in both: the audit has neither the container's id nor the runtime's of the exec. So they are a pair by

    strong   the same pod, container and command, near in time
    weak     the same pod and container, near in time, where one of both does not say the command

one to one, the strongest first, of equals the nearest in time. What contradicts itself is no pair. A request may be
left over: kubectl of 1.31 and newer asks a server of 1.20 twice for one exec, by GET and then by POST.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from controller.detect.join import DEADLINE_NS, RANKS, WINDOW_NS, Pair, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

MEANS: Final = frozenset({"cri-exec", "docker-exec", "ctr-exec"})
"""Ways into a pod's container that an API server asks for, or that look as if it had."""
AFTER_NS: Final = 60_000_000_000
"""How long after the request came the exec may begin: an image of the debug container is pulled, a kubelet is slow."""
SILENT_NS: Final = 600_000_000_000
"""An audit that was last heard so long before the visit was perhaps not sent at all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A visit to a pod ("namespace/name"). `time` by the controller's clock, ns, as far as the host's is known."""

    session: str
    pod: str
    container: str | None
    time: int
    command: str | None = None
    """None where it is not known whole."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an exec. `time` by the controller's clock, as far as the API server's is known."""

    request: str
    source: str
    """The host or cluster that told of it."""
    pod: str
    container: str | None
    time: int
    command: str | None = None
    """None where it is not told, or not whole."""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Hearing:
    """How well the audit that would tell is heard. Times by the controller's clock."""

    name: str
    mine: bool
    """The host is known to run this cluster's pods; else it is only the one there is."""
    since: int
    heard: int
    away: int | None = None
    delay: int = 0
    execs: bool = False
    early: bool = False
    gap: int | None = None
    source: str = ""
    """The id of the host or cluster that tells."""


def pair(wanted: Wanted, asked: Asked) -> Pair | None:
    """Whether the visit is what was asked for."""
    apart = wanted.time - asked.time
    elsewhere = wanted.container and asked.container and wanted.container != asked.container
    if wanted.pod != asked.pod or elsewhere or asked.refused or not -WINDOW_NS <= apart <= AFTER_NS:
        return None
    if wanted.command is None or asked.command is None:
        if apart > WINDOW_NS:
            return None
        why = "the same pod and container at about the time; one of both does not say the command"
        return Pair(wanted.session, asked.request, "weak", why, abs(apart))
    if _same(wanted.command, asked.command):
        return Pair(
            wanted.session, asked.request, "strong", "the same pod, container, command and time", abs(apart)
        )
    return None


def _same(executed: str, asked: str) -> bool:
    """The kernel puts a script's interpreter before its name."""
    return executed == asked or executed.endswith(f" {asked}")


def assign(wanted: Iterable[Wanted], asked: Iterable[Asked]) -> dict[str, Pair]:
    """The pairs, by session: one to one. The order of what is given changes nothing."""
    asked = list(asked)
    possible = [made for one in wanted for other in asked if (made := pair(one, other)) is not None]
    possible.sort(key=lambda each: (RANKS[each.confidence], each.apart, each.session, each.key))
    pairs: dict[str, Pair] = {}
    taken: set[str] = set()
    for each in possible:
        if each.session not in pairs and each.key not in taken:
            pairs[each.session] = each
            taken.add(each.key)
    return pairs


AGAIN: Final = (
    "the same command runs here again and again, at one pace: an undeclared probe (probes.manifests)?"
)
RUNS: Final = 4
"""So many runs at one pace are taken for a probe's."""


def regular(times: Iterable[int]) -> bool:
    """Whether something runs at one pace: no gap between two runs is far from the usual one. Nanoseconds.

    A third of it is still near: two probes of one container may run the same command.
    """
    ordered = sorted(times)[-2 * RUNS :]
    gaps = sorted(later - before for before, later in pairwise(ordered))
    if len(ordered) < RUNS or gaps[0] < 10**9 // 2:
        return False
    usual = gaps[len(gaps) // 2]
    return gaps[0] >= usual // 3 and gaps[-1] <= usual * 3 // 2


def first(hearings: Iterable[Hearing]) -> tuple[Status, str]:
    """What is said of a visit when it comes, before any request is known."""
    names = [each.name for each in hearings]
    if not names:
        return "unchecked", "no API server's audit is received"
    return "awaited", f"the audit of {' or '.join(sorted(set(names))[:3])} may still tell"


def last(arrived: int, hearings: list[Hearing]) -> tuple[Status, str, bool]:
    """What is said of it when its time is up, and whether nothing speaks against that. `arrived`: our clock."""
    mine = [each for each in hearings if each.mine] or hearings
    if not mine:
        return "unchecked", "no API server's audit is received", False
    if len({each.name for each in mine}) > 1:
        return (
            "unchecked",
            "several API servers are heard, and it is not known which of them this host is of",
            False,
        )
    best = max(mine, key=lambda each: (each.away is None, each.execs, each.heard))
    if best.away is not None and best.away < arrived:
        return "unchecked", f"the audit of {best.name} was not read at that time", False
    if best.since > arrived or best.heard < arrived - SILENT_NS:
        return "unchecked", f"nothing was heard of the audit of {best.name} at that time", False
    doubts = []
    if not best.mine:
        doubts.append("this host is taken to be of that cluster because it is the only one")
    if not best.execs:
        doubts.append("that audit has never told of an exec: does its policy have pods/exec?")
    if best.gap is not None and abs(best.gap - arrived) < DEADLINE_NS[1]:
        doubts.append("something of that audit was refused or lost at about the time")
    reason = f"the audit of {best.name} is heard, and tells of no such request to the API server"
    return "unrecorded", "; but ".join([reason, "; ".join(doubts)] if doubts else [reason]), not doubts
