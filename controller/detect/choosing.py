# SPDX-License-Identifier: Apache-2.0
"""Which client asked the daemon for which visit. Pure: visits in, principals out, in whatever order they came.

Whoever asked was connected by then. So of those who were, each is left out who connected too late, or whose command
line says that he is there for something else. `docker exec` gives more: it connects once more between the making
and the start of its exec, of which the daemon's record has both times, where the kernel told of both connects.
A tool's command is good for one exec: one whose visit is found stands in the way of no other. If more than one are
left, nobody is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.detect import client_line
from controller.detect.principal import RANKS, called, less, of_caller, same, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sensor.wire import Client, Principal, Sure

SLACK_NS: Final = 200_000
"""Between the kernel's clock and the daemon's: one clock of one host, told by the sensor over that of its boot."""
MAX_NAMED: Final = 8

Key = tuple[int, int]
"""A process by pid and start."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who a visit was by, and the client that it used up; None where it used none up."""

    principal: Principal
    client: Key | None = None


@dataclass(slots=True)
class Sought:
    """A visit that a daemon made, and when its record says that it was made and started (None: not told)."""

    session: str
    entry: Mapping[str, Any]
    created: int | None = None
    started: int | None = None
    possible: dict[Key, Client] = field(default_factory=dict)
    alone: bool = False
    """There was no other from the beginning."""
    silent: bool = False
    """Others were left when it was found, who do not say what they are there for."""

    def look(self, spent: Iterable[Key]) -> None:
        """Who it may have been, without those who are known to have asked for another visit."""
        used = set(spent)
        made = ((key_of(each), each) for each in self.entry.get("clients") or ())
        self.possible = {key: each for key, each in made if key not in used and possible(self, each)}
        self.alone = len(self.possible) == 1

    def names(self, key: Key) -> bool:
        """Whether the client's command line names this visit."""
        return client_line.says(self.possible[key]["caller"]["argv"], self.entry) == "names"


def key_of(client: Client) -> Key:
    """What names a client on its host and boot."""
    return client["caller"]["pid"], client["caller"]["start"]


def possible(sought: Sought, client: Client) -> bool:
    """Whether this client may have asked for the visit. Of who did ask it is always true."""
    argv, connected = client["caller"]["argv"], client["connected"]
    if client.get("asked") or client_line.says(argv, sought.entry) == "else":
        return client.get("asked", False)
    if client["witness"] == "held" or not connected:
        return not client["closed"]
    latest = min(each for each in (sought.created, sought.started, sought.entry["time"]) if each is not None)
    if connected[0] > latest + SLACK_NS:
        return False
    asked = client_line.read(argv)
    if sought.created is None or sought.started is None or not isinstance(asked, client_line.Exec):
        return True
    if not asked.attached or asked.tool != "docker" or len(connected) < 2:
        return True  # of one that was seen to connect once, the other may not have been told
    # The stream of an exec is a connection of its own, made once the exec is.
    return any(sought.created - SLACK_NS <= at <= sought.started + SLACK_NS for at in connected)


def choose(visits: Sequence[Sought], spent: Iterable[Key] = ()) -> dict[str, Choice]:
    """Who each visit of one host was by. `spent`: clients of tools that earlier visits used up."""
    used = list(spent)
    for visit in visits:
        visit.look(used)
    found: dict[str, Key] = {}
    while (step := _next(visits, found)) is not None:
        session, key = step
        found[session] = key
        for visit in visits:
            mine = visit.session == session
            if mine:
                visit.silent = len(visit.possible) > 1
                visit.possible = {key: visit.possible[key]}
            elif len(visit.possible) > 1 and _once(visit, key):
                del visit.possible[key]
    return {visit.session: _choice(visit, found.get(visit.session)) for visit in visits}


def _next(visits: Sequence[Sought], found: Mapping[str, Key]) -> tuple[str, Key] | None:
    """The next visit of which only one can be, or which is the only one that a tool can have been for."""
    todo = sorted((each for each in visits if each.session not in found), key=lambda each: each.session)
    for visit in todo:
        if len(visit.possible) == 1:
            return visit.session, next(iter(visit.possible))
    chances: dict[Key, int] = {}
    for visit in visits:
        for key in visit.possible:
            chances[key] = chances.get(key, 0) + 1
    for visit in todo:
        sure = [key for key in visit.possible if chances[key] == 1 and _once(visit, key) and visit.names(key)]
        if len(sure) == 1:
            return visit.session, sure[0]
    return None


def _once(visit: Sought, key: Key) -> bool:
    """Whether the client is a tool's command, which makes one exec."""
    client = visit.possible.get(key)
    return client is not None and client_line.is_tool(client["caller"]["argv"])


def _choice(visit: Sought, key: Key | None) -> Choice:
    unseen = visit.entry.get("clients_unseen")
    if not visit.possible:
        why = (
            unseen
            or "nobody who was connected to the daemon can have asked: by the network, or it did so itself"
        )
        return Choice(unknown(why))
    if key is None:
        return Choice(_one_of(visit))
    client = visit.possible[key]
    who = of_caller(client["caller"])
    if client["caller"]["comm"] == "kubelet" and who["kind"] != "container":
        return Choice(unknown("the kubelet asked, and no audit record names for whom"))
    socket = client["socket"] or "the daemon's socket"
    tool = client["caller"]["comm"]
    surely, why = _how_sure(visit, key, unseen)
    if client.get("asked"):
        surely, why = "exact", "the daemon read this very exec's id from its connection"
    evidence = f"{tool} (pid {key[0]}) was connected to {socket}"
    once = _once(visit, key)
    return Choice(less(who, surely, why, evidence), key if once and surely in {"exact", "strong"} else None)


def _how_sure(visit: Sought, key: Key, unseen: str | None) -> tuple[Sure, str]:
    if visit.names(key):
        if unseen:
            return "strong", f"its command line names this exec; {unseen}"
        if visit.alone:
            return "exact", "of all who were connected only its command line names this exec"
        if visit.silent:
            return (
                "strong",
                "its command line names this exec alone; others who were connected do not say what for",
            )
        return "strong", "all others who were connected had asked for other visits, or connected too late"
    if unseen or visit.possible[key]["witness"] == "held":
        return "weak", "it was connected, and does not say what for" + (f"; {unseen}" if unseen else "")
    return "strong", "nobody else was connected at that time"


def _one_of(visit: Sought) -> Principal:
    every = [of_caller(each["caller"]) for each in visit.possible.values()]
    agreed = same(every)
    evidence = f"{len(every)} clients were connected that may have asked"
    if agreed is not None and agreed["kind"] != "unknown":
        return less(agreed, "strong", "whichever of them asked belongs to it", evidence)
    every.sort(key=lambda each: (RANKS[each["confidence"]], each["name"] or ""))
    names = list(dict.fromkeys(called(each) for each in every))[:MAX_NAMED]
    return unknown("more than one who were connected may have asked", names, [evidence])
