# SPDX-License-Identifier: Apache-2.0
"""The processes of a visit as a tree: from init down to the door, and behind it all that the visit ran.

Pure: takes the entry and the session's executions as the store gives them, returns nodes for the template. A
visit may hold thousands of processes in any shape, so depth and number of nodes are bounded; what is left out
is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controller.store.views import EntryView, Execution, FindingView
    from sensor import wire

MAX_NODES = 400
MAX_DEPTH = 24
"""A process deeper behind the door is drawn beside its parent: nobody can read deeper lists."""


@dataclass
class Run:
    """One program that a process executed, and what the detections found in it."""

    execution: Execution
    findings: list[FindingView]


@dataclass
class Node:
    """One process: an ancestor on either side of the door, or one of the visit, which has `runs`."""

    pid: int
    side: str
    ancestor: wire.Ancestor | None = None
    runs: list[Run] = field(default_factory=list)
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
    entry: EntryView | None, executions: Sequence[Execution], findings: Iterable[FindingView] = ()
) -> Tree:
    """The tree of a session. Without its entry, which may have been lost, it begins behind the door."""
    inside = _Inside(by_event(findings))
    for execution in executions:
        inside.add(execution)
    above = _ancestors(entry)
    if not above:
        return Tree(inside.roots, inside.left_out)
    for root in inside.roots:
        root.border = above[-1].side != "container"
    above[-1].children = inside.roots
    return Tree([above[0]], inside.left_out)


def by_event(findings: Iterable[FindingView]) -> dict[str, list[FindingView]]:
    """The findings of each event, by its id."""
    found: dict[str, list[FindingView]] = {}
    for finding in findings:
        found.setdefault(finding["event"], []).append(finding)
    return found


def _ancestors(entry: EntryView | None) -> list[Node]:
    """The known processes above the entry, topmost first, each the parent of the next."""
    nodes: list[Node] = []
    for ancestor in reversed(entry["ancestry"] if entry else []):
        node = Node(pid=ancestor["pid"], side=ancestor["side"], ancestor=ancestor)
        if nodes:
            node.border = nodes[-1].side == "host" and node.side == "container"
            nodes[-1].children.append(node)
        nodes.append(node)
    return nodes


class _Inside:
    """Collects the processes behind the door, in the order in which they executed something."""

    def __init__(self, findings: dict[str, list[FindingView]]) -> None:
        self._findings = findings
        self._by_pid: dict[int, Node] = {}
        self._starts: dict[int, int] = {}
        self._count = 0
        self.roots: list[Node] = []
        self.left_out = 0

    def add(self, execution: Execution) -> None:
        pid, start = execution["process"]["pid"], execution["process"]["start"]
        if self._starts.get(pid) != start:  # a pid that came back is another process
            if self._count >= MAX_NODES:
                self.left_out += 1
                return
            self._born(execution)
        found = self._findings.get(execution["event"], [])
        self._by_pid[pid].runs.append(Run(execution, found))

    def _born(self, execution: Execution) -> None:
        process = execution["process"]
        above = self._by_pid.get(execution["parent"] or process["ppid"])
        if above is not None and above.depth >= MAX_DEPTH:
            above = above.above
        node = Node(pid=process["pid"], side="container", above=above, depth=above.depth + 1 if above else 0)
        (above.children if above else self.roots).append(node)
        self._by_pid[node.pid] = node
        self._starts[node.pid] = process["start"]
        self._count += 1
