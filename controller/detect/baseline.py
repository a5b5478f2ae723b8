# SPDX-License-Identifier: Apache-2.0
"""What is normal: traits of what a container does of itself and of visits that were approved, and whose they are.

A trait is one thing that may be usual or not: a program, the shape of a command line, a destination, an hour. Those
of containers themselves (`own`) and those of visits (`visit`) are kept apart: that somebody was allowed to run a
shell in there does not make a shell normal for the web server.

A container has up to two baselines: that of its image, and that of its workload, which outlives releases.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from controller.detect.rule import Event
    from controller.policy.principals import Principal

Side: TypeAlias = Literal["own", "visit"]
State: TypeAlias = Literal["learning", "ready", "frozen"]
FACETS: Final = (
    "program",
    "digest",
    "arguments",
    "parent",
    "user",
    "destination",
    "means",
    "principal",
    "hour",
)
MAX_VALUE: Final = 512
"""Characters of a trait; what is longer is cut, with a mark."""
MAX_SHAPE_WORDS: Final = 32

_GENERATED: Final = re.compile(r"(-[0-9a-f]{6,10})?-[0-9a-z]{5}$|-\d+$")
"""What a ReplicaSet, a DaemonSet or a StatefulSet adds to the name of a pod."""
_RANDOM: Final = re.compile(r"[0-9a-fA-F]{8,}|[A-Za-z0-9+/_=-]{24,}")
_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, order=True)
class Trait:
    """One thing that may be usual. `facet` is one of FACETS."""

    side: Side
    facet: str
    value: str


@dataclass(frozen=True, slots=True)
class Normal:
    """What is known to be normal for one container, from all its baselines."""

    subjects: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    traits: frozenset[Trait] = frozenset()
    _values: dict[tuple[Side, str], set[str]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for each in self.traits:
            self._values.setdefault((each.side, each.facet), set()).add(each.value)

    def judges(self, side: Side) -> bool:
        """Whether enough is known to call something unusual: nothing is being learned, and something was.

        Of visits nothing is known before one was approved.
        """
        settled = bool(self.states) and "learning" not in self.states
        return settled and any((side, facet) in self._values for facet in FACETS)

    def outside(self, trait: Trait) -> bool:
        """Whether it is unusual. False where that cannot be said yet.

        A file is another one only where digests of the same path are known: unknown is not different.
        """
        if not self.judges(trait.side) or trait in self.traits:
            return False
        return trait.facet != "digest" or any(
            path_of(each) == path_of(trait.value) for each in self._values.get((trait.side, "digest"), ())
        )

    def usual(self, side: Side, facet: str) -> Set[str]:
        """What is normal of one facet."""
        return self._values.get((side, facet), set())


def subjects(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The baselines that a container belongs to: "image NAME", "workload NAME"; none where nothing names one.

    Labels are chosen by whoever starts the container: they tell where it belongs, they prove nothing.
    """
    image, named = container.get("image"), workload(container)
    found = [f"image {image}"] if image else []
    return tuple(_cut(each) for each in [*found, *([f"workload {named}"] if named else [])])


def workload(container: Mapping[str, Any]) -> str | None:
    """What the container is a copy of: of a pod "namespace/app/container", else compose's or swarm's service."""
    labels, pod = container.get("labels") or {}, container.get("pod")
    if pod:
        app = next((labels[name] for name in _APP if labels.get(name)), None)
        inside = labels.get("io.kubernetes.container.name") or container.get("name") or "?"
        return f"{pod['namespace']}/{app or _GENERATED.sub('', pod['name'])}/{inside}"
    project, service = labels.get("com.docker.compose.project"), labels.get("com.docker.compose.service")
    if project and service:
        return f"{project}/{service}"
    return labels.get("com.docker.swarm.service.name") or None


_APP: Final = ("app.kubernetes.io/name", "k8s-app", "app")


def shape(argv: Iterable[str]) -> str:
    """A command line without what differs from run to run: numbers, digests, tokens, addresses in digits."""
    words = list(argv)
    shown = [_DIGITS.sub("0", _RANDOM.sub("…", word)) for word in words[:MAX_SHAPE_WORDS]]
    return " ".join([*shown, *(["…"] if len(words) > MAX_SHAPE_WORDS else [])])


def of_activity(event: Event) -> tuple[Trait, ...]:
    """The traits of what a container does of itself (wire.Activity)."""
    return tuple(Trait("own", facet, _cut(value)) for facet, value in _activity(event))


def path_of(value: str) -> str:
    """The path that stands in a trait of facet "digest"."""
    return value.rpartition(" ")[0]


def _activity(event: Event) -> Iterator[tuple[str, str]]:
    yield "user", str(event["uid"])
    yield "hour", hour(event["time"])
    if event["what"] != "exec":
        if event["address"] is not None:
            yield "destination", destination(event)
        return
    program = event["exe"] or event["filename"]
    if program is None:
        return
    yield "program", program
    if event.get("digest"):
        yield "digest", f"{wire.printable(program)[: MAX_VALUE - 72]} {event['digest']}"
    if event.get("parent_exe"):
        yield "parent", f"{event['parent_exe']} → {program}"
    if event["argv"] is not None:
        yield "arguments", _command(event["filename"], program, event["argv"])


def _command(filename: str | None, program: str, argv: list[str]) -> str:
    """The path that was executed, which of a program with many names says which it is, and its arguments."""
    named = program if filename is None or filename.startswith("/proc/") else filename
    return f"{named} {shape(argv[1:])}".rstrip()


def of_arrival(opening: Event, who: Principal) -> Iterator[Trait]:
    """The traits of how a visit began: by which means, at what hour (UTC), and by whom, where that is sure."""
    yield Trait("visit", "means", opening["means"])
    yield Trait("visit", "hour", hour(opening["time"]))
    if who.sure:
        yield Trait("visit", "principal", _cut(f"{who.kind}:{who.name}"))


def of_visit(opening: Event, executions: Iterable[Event], who: Principal) -> tuple[Trait, ...]:
    """The traits of a visit: how it began, and what was executed in it."""
    found = set(of_arrival(opening, who))
    programs: dict[int, str] = {}
    for event in executions:
        found.update(of_execution(event, programs))
    return tuple(sorted(found))


def of_execution(event: Event, programs: dict[int, str]) -> Iterator[Trait]:
    """The traits of one execution; `programs` are those by process that came before, and takes this one in."""
    process, program = event.get("process"), program_of(event)
    yield Trait("visit", "hour", hour(event["time"]))
    if process is None:
        return
    yield Trait("visit", "user", str(process["uid"]))
    if program is None:
        return
    yield Trait("visit", "program", program)
    if process["argv"] is not None:
        command = _command(process.get("filename"), program, process["argv"])
        yield Trait("visit", "arguments", _cut(command))
    parent = programs.get(event.get("parent") or 0)
    if parent is not None:
        yield Trait("visit", "parent", _cut(f"{parent} → {program}"))
    programs[process["pid"]] = program


def program_of(event: Event) -> str | None:
    """The program of an execution in a visit, as a trait has it; None where it is not known."""
    process = event.get("process") or {}
    program = process.get("exe") or process.get("filename")
    return None if program is None else _cut(program)


def hour(at: int) -> str:
    """The hour of the day (UTC) of a time in ns: "14"."""
    return time.strftime("%H", time.gmtime(at // 1_000_000_000))


def destination(event: Event) -> str:
    """Where to, as one word: "tcp 10.0.0.5:5432"."""
    address = f"[{event['address']}]" if ":" in event["address"] else event["address"]
    return f"{event['protocol'] or 'tcp'} {address}:{event['port']}"


def _cut(value: str) -> str:
    value = wire.printable(value)
    return value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 1]}…"
