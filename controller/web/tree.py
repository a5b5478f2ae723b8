# SPDX-License-Identifier: Apache-2.0
"""The processes of a visit as a tree: from init down to the door, and behind it all that the visit ran.

Pure: takes the entry and the session's events as the store gives them, returns nodes for the template. A
visit may hold thousands of processes in any shape, so depth and number of nodes are bounded; what is left out
is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_NODES = 400
MAX_DEPTH = 24
"""A process deeper behind the door is drawn beside its parent: nobody can read deeper lists."""


@dataclass
class Run:
    """One program that a process executed."""

    event: str
    time: str | None
    mono: int
    process: Mapping[str, Any]
    findings: list[Mapping[str, Any]]


@dataclass
class Node:
    """One process; `runs` is empty for an ancestor, of which only the latest state is known."""

    pid: int
    start: int
    side: str
    comm: str
    exe: str | None
    argv: Sequence[str] | None
    uid: int | None
    user: str | None = None
    runs: list[Run] = field(default_factory=list)
    end: Mapping[str, Any] | None = None
    children: list[Node] = field(default_factory=list)
    above: Node | None = None
    """Under which it is drawn: its parent, as a rule."""
    border: bool = False
    """The door is between this process and the one above it."""
    depth: int = 0
    """How many processes of the visit are above it."""

    @property
    def marked(self) -> bool:
        """A detection found something in what it ran."""
        return any(run.findings for run in self.runs)


@dataclass
class Tree:
    """`roots` is the topmost known process, with all others below it; `left_out` counts those not drawn."""

    roots: list[Node]
    left_out: int = 0


def build(
    entry: Mapping[str, Any] | None,
    events: Sequence[Mapping[str, Any]],
    findings: Iterable[Mapping[str, Any]] = (),
) -> Tree:
    """The tree of a session. `entry` is None when it was lost: then the tree begins behind the door."""
    by_event: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        by_event.setdefault(finding["event"], []).append(finding)
    inside = _Inside(by_event)
    for event in events:
        inside.add(event)
    above = _ancestors(entry)
    if not above:
        return Tree(inside.roots, inside.left_out)
    for root in inside.roots:
        root.border = above[-1].side != "container"
    above[-1].children = inside.roots
    return Tree([above[0]], inside.left_out)


def _ancestors(entry: Mapping[str, Any] | None) -> list[Node]:
    """The known processes above the entry, topmost first, each the parent of the next."""
    chain = list(reversed((entry or {}).get("ancestry") or []))
    nodes: list[Node] = []
    for ancestor in chain:
        node = Node(
            pid=ancestor["pid"],
            start=ancestor["start"],
            side=ancestor["side"],
            comm=ancestor["comm"],
            exe=ancestor["exe"],
            argv=ancestor["argv"],
            uid=ancestor["uid"],
        )
        if nodes:
            node.border = nodes[-1].side == "host" and node.side == "container"
            nodes[-1].children.append(node)
        nodes.append(node)
    return nodes


class _Inside:
    """Collects the processes behind the door, in the order of the session's events."""

    def __init__(self, findings: Mapping[str, list[Mapping[str, Any]]]) -> None:
        self._findings = findings
        self._by_pid: dict[int, Node] = {}
        self.roots: list[Node] = []
        self.left_out = 0
        self._count = 0

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event["kind"]
        if kind in {"entry", "command"}:
            self._executed(event)
        elif kind == "exit":
            node = self._by_pid.get(event["pid"])
            if node is not None and node.start == event["start"]:
                node.end = event

    def _executed(self, event: Mapping[str, Any]) -> None:
        process = event["process"]
        node = self._by_pid.get(process["pid"])
        if node is None or node.start != process["start"]:
            if self._count >= MAX_NODES:
                self.left_out += 1
                return
            node = self._born(event)
        node.comm, node.exe, node.argv = process["comm"], process["exe"], process["argv"]
        node.uid, node.user = process["uid"], process["user"]
        found = self._findings.get(event["id"], [])
        node.runs.append(Run(event["id"], event.get("time"), event["mono"], process, found))

    def _born(self, event: Mapping[str, Any]) -> Node:
        process = event["process"]
        above = self._by_pid.get(event.get("parent", process["ppid"]))
        if above is not None and above.depth >= MAX_DEPTH:
            above = above.above
        node = Node(
            pid=process["pid"],
            start=process["start"],
            side="container",
            comm=process["comm"],
            exe=process["exe"],
            argv=process["argv"],
            uid=process["uid"],
            above=above,
            depth=above.depth + 1 if above else 0,
        )
        (above.children if above else self.roots).append(node)
        self._by_pid[node.pid] = node
        self._count += 1
        return node
