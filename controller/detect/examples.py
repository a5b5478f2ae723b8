# SPDX-License-Identifier: Apache-2.0
"""The tests.yaml of a detection: events for which its rule must fire, and events for which it must not.

    - name: a shell with a terminal          what a reader sees when it fails
      fires: high                            the gravest severity that the visit must give, or `no`
      because: waiting for commands          a part of the reason (optional)
      record: {status: unrecorded}           what is known of the visit's record (optional)
      api: {status: unrecorded}              what is known of the request to its API server (optional)
      earlier: [...]                         of a request: what its user was refused before it (optional)
      principal: {kind: person, name: ann}   who it was (optional)
      new_in: [on host n1]                   where that one had not been before (optional)
      normal: {states: [ready], traits: [own program /bin/nginx]}   what is normal there (optional)
      knobs: {NamespaceScope: [shop]}        as in controller.toml (optional)
      change: {summary: memory ..., authorised: false}   what differs from the configuration before (optional)
      past: [{times: 9, ago: 60}]            earlier visits of the fleet, a second apart from `ago` seconds before on;
                                             by what they are the same (principal, host, container, image, namespace,
                                             means), and what was `found` in them (optional)
      visit:                                 the events of one visit, in order
        - docker-exec: {process.filename: /bin/sh, process.argv: [sh], process.tty: pts/0}
        - command: {process.filename: /usr/bin/id, process.argv: [id]}
        - update: {container.user: app}      completes the first event

Each event is one of base.yaml's with the named paths set, and must be a valid wire event. Ids and times count
up by themselves.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from controller.detect.alerts import judged_again
from controller.detect.baseline import Normal, Trait
from controller.detect.catalogue import TESTS, Problem
from controller.detect.engine import Engine
from controller.detect.past import SAME, Past, PastVisit
from controller.detect.principal import unknown
from controller.detect.rule import Around, Severity
from controller.detect.visits import Visited
from controller.policy import knobs
from controller.validity import InvalidError, check_event
from sensor import wire

if TYPE_CHECKING:
    from controller.detect.catalogue import Detection
    from controller.detect.engine import Raised
    from controller.detect.rule import Event

BASE: Final = Path(__file__).with_name("base.yaml")
OTHERS: Final = (
    "because",
    "record",
    "api",
    "earlier",
    "principal",
    "new_in",
    "normal",
    "knobs",
    "past",
    "change",
)
KEYS: Final = {"name", "fires", "visit", *OTHERS}
SECOND: Final = 1_000_000_000
HOST: Final = "h1"
NOTHING: Final = Normal()


class BadExampleError(ValueError):
    """A test that is not written as it should be."""


@dataclass(frozen=True, slots=True)
class Example:
    """One test of a detection: `fires` None means that it must not."""

    name: str
    fires: Severity | None
    because: str
    visit: tuple[Event, ...]
    """The events in order; updates are not merged in yet."""
    path: Path
    line: int
    record: dict[str, Any] | None = None
    """What is known of the visit's record, as the rule is to see it."""
    api: dict[str, Any] | None = None
    earlier: tuple[Event, ...] = ()
    principal: dict[str, Any] | None = None
    """Who it was, likewise."""
    new_in: tuple[str, ...] = ()
    normal: Normal = field(default_factory=Normal)
    """What is normal for the container, as the rule is to see it."""
    around: Around = field(default_factory=Around)
    """The knobs that are set, and the fleet's earlier visits."""


def load(folder: Path) -> tuple[list[Example], list[Problem]]:
    """The tests of the detection in `folder`, and what is wrong with those that cannot be used."""
    path = folder / TESTS
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except FileNotFoundError:
        return [], [Problem(path, 1, "the file is missing")]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return [], [Problem(path, line, f"is not YAML: {error.problem}")]
    if not isinstance(root, yaml.SequenceNode):
        return [], [Problem(path, 1, "a list of tests was expected")]
    examples, problems = [], []
    for node in root.value:
        line = node.start_mark.line + 1
        try:
            examples.append(_example(_value(node), path, line))
        except BadExampleError as error:
            problems.append(Problem(path, line, str(error)))
    return examples, problems


def failures(detection: Detection, examples: list[Example]) -> list[Problem]:
    """The tests that the rule of `detection` does not pass, and how."""
    return [problem for example in examples if (problem := _failure(detection, example)) is not None]


def run(
    detection: Detection,
    visit: tuple[Event, ...],
    record: dict[str, Any] | None = None,
    api: dict[str, Any] | None = None,
    earlier: tuple[Event, ...] = (),
    who: tuple[dict[str, Any] | None, tuple[str, ...]] = (None, ()),
    amid: tuple[Normal, Around] | None = None,
) -> list[Raised]:
    """All findings of one detection on a visit, updates merged in as they come.

    `amid`: what is normal there, and what surrounds the visit. RuntimeError: the rule raised an exception.
    """
    engine = Engine([detection])
    visited = Visited(visit[0].get("session", visit[0]["id"]))
    visited.record, visited.api, visited.earlier = record, api, earlier
    visited.principal, visited.new_in = who
    visited.normal, visited.around = amid or (NOTHING, Around())
    findings: tuple[Raised, ...] = ()
    for event in visit:
        if event["kind"] == "update":
            target = next(each for each in visit if each["id"] == event["target"])
            visited.complete(_with(target, event["set"]))
            judged = visited.judged()
        else:
            visited.add(event)
            judged = [(visited.now(), event)]
        new = [found for at, each in judged for found in engine.evaluate(at, each)]
        findings = judged_again(findings, new)
    if engine.counts[f"{detection.id}.errors"]:
        raise RuntimeError("the rule raised an exception, see the log")
    return list(findings)


def _failure(detection: Detection, example: Example) -> Problem | None:
    try:
        who = (example.principal, example.new_in)
        told = (example.record, example.api, example.earlier, who, (example.normal, example.around))
        found = run(detection, example.visit, *told)
    except RuntimeError as error:
        return Problem(example.path, example.line, f"{example.name!r}: {error}")
    gravest = max((each.severity for each in found), default=None)
    if gravest != example.fires:
        said = f": {found[0].reason}" if found else ""
        return Problem(
            example.path,
            example.line,
            f"{example.name!r} must give {_label(example.fires)}, gave {_label(gravest)}{said}",
        )
    if example.because and not any(example.because in each.reason for each in found):
        reasons = "; ".join(each.reason for each in found)
        return Problem(
            example.path, example.line, f"{example.name!r}: no reason has {example.because!r}: {reasons}"
        )
    return None


def _example(value: object, path: Path, line: int) -> Example:
    if not isinstance(value, dict) or not {"name", "fires", "visit"} <= set(value) <= KEYS:
        raise BadExampleError(f"a test has `name`, `fires`, `visit` and perhaps {', '.join(OTHERS)}")
    fires = value["fires"]
    labels = {each.label: each for each in Severity}
    if fires is not False and fires not in labels:
        raise BadExampleError(f"`fires` is {', '.join(labels)} or no")
    if not isinstance(value["visit"], list) or not value["visit"]:
        raise BadExampleError("`visit` is a list of events")
    visit = tuple(built(each, number) for number, each in enumerate(value["visit"], start=1))
    if visit[0]["kind"] == "update":
        raise BadExampleError("a visit begins with an event, not with an update")
    because = str(value.get("because", ""))
    record, api = _known(value.get("record"), "record"), _known(value.get("api"), "api")
    earlier = tuple(built(each, number) for number, each in enumerate(value.get("earlier", ()), start=1001))
    who = _known(value.get("principal"), "principal")
    new_in = tuple(str(each) for each in value.get("new_in", ()))
    told = (record, api, earlier, who, new_in, _normal(value.get("normal")), _around(value, visit[0], who))
    return Example(str(value["name"]), labels.get(fires), because, visit, path, line, *told)


def _around(value: dict[str, Any], first: Event, who: dict[str, Any] | None) -> Around:
    """`knobs` as in controller.toml, and `past`: visits of the fleet, this one the last of them."""
    try:
        set_ = knobs.read(value.get("knobs", {}))
    except knobs.KnobError as error:
        raise BadExampleError(f"`knobs`: {error}") from error
    session, container = first.get("session", first["id"]), (first.get("container") or {}).get("id")
    name = who["name"] if who else None
    now = PastVisit(session, first["time"], HOST, name, first.get("means", "unknown"), container, None, None)
    visits = [each for number, one in enumerate(value.get("past", ())) for each in _past(one, now, number)]
    past = Past(session, now.time, sorted([*visits, now], key=lambda each: each.time))
    return Around(HOST, set_, past, change=_known(value.get("change"), "change"))


def _past(one: object, now: PastVisit, number: int) -> list[PastVisit]:
    if not isinstance(one, dict) or not {"times", "ago"} <= set(one) <= {"times", "ago", "found", *SAME}:
        raise BadExampleError(f"`past` has `times`, `ago` and perhaps `found`, {', '.join(SAME)}")
    made = []
    for at in range(one["times"]):
        given = {"host": HOST, "principal": None, "means": now.means, "container": f"{number}-{at}"}
        same: dict[str, Any] = {name: one.get(name, given.get(name)) for name in SAME}
        time = now.time - one["ago"] * SECOND + at * SECOND
        made.append(PastVisit(f"past-{number}-{at}", time, found=tuple(one.get("found", ())), **same))
    return made


_NOTHING: Final[dict[str, dict[str, Any]]] = {
    "record": {"confidence": "none", "reason": "", "source": None, "exec_id": None, "cause": None},
    "api": {
        "confidence": "none",
        "reason": "",
        "sure": True,
        "cluster": None,
        "action": None,
        "request": None,
    },
    "principal": dict(unknown("")),
    "change": {
        "changes": [],
        "summary": "",
        "who": "somebody who is not known",
        "principal": dict(unknown("")),
        "authorised": False,
        "by": None,
        "reason": "nobody is authorised",
        "replaces": None,
        "client": "",
    },
}


def _known(known: object, what: str) -> dict[str, Any] | None:
    if known is None:
        return None
    nothing = _NOTHING[what]
    needed = {"principal": "name", "change": "changes"}.get(what, "status")
    if not isinstance(known, dict) or not {needed} <= set(known) <= {needed, *nothing}:
        raise BadExampleError(
            f"`{what}` has `{needed}` and perhaps {', '.join(f'`{name}`' for name in nothing)}"
        )
    return nothing | known


def _normal(known: object) -> Normal:
    """{"states": ["ready"], "traits": ["own program /bin/nginx"]}."""
    if known is None:
        return NOTHING
    if not isinstance(known, dict) or set(known) != {"states", "traits"}:
        raise BadExampleError("`normal` has `states` and `traits`")
    traits = [each.split(" ", 2) for each in known["traits"]]
    return Normal(("image busybox:demo",), tuple(known["states"]), frozenset(Trait(*each) for each in traits))


def built(value: object, number: int) -> Event:
    """The wire event, `number`th of a visit, that `value` describes: {"command": {"process.argv": ["id"]}}.

    BadExampleError: it describes none.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise BadExampleError(f"event {number} is one of {', '.join((*_base(), 'update'))} with its paths")
    ((kind, paths),) = value.items()
    moment = {"id": f"h1/b1/{number}", "time": 1764000000 * SECOND + number, "mono": number * SECOND}
    if kind == "update":
        made: Event = {
            "kind": "update", **moment, "target": "h1/b1/1", "set": paths or {}, "missing": {},
        }  # fmt: skip
    elif kind in _base():
        made = {**_with(_base()[kind], paths or {}), **moment}
    else:
        raise BadExampleError(f"event {number}: there is no {kind!r} in {BASE.name}")
    try:
        check_event(msgspec.convert(made, wire.EVENT_TYPES[made["kind"]]))
    except (msgspec.ValidationError, InvalidError) as error:
        raise BadExampleError(f"event {number} is not a wire event: {error}") from error
    return made


def _with(event: Event, paths: dict[str, Any]) -> Event:
    """A copy of `event` with the values at dotted `paths` set."""
    made: dict[str, Any] = deepcopy(dict(event))
    for path, value in paths.items():
        *parents, last = path.split(".")
        place = made
        for name in parents:
            place = place.get(name, None)  # type: ignore[assignment]
            if not isinstance(place, dict):
                raise BadExampleError(f"{path!r} is no path of a {event['kind']}")
        if last not in place:
            raise BadExampleError(f"{path!r} is no path of a {event['kind']}")
        place[last] = value
    return made


@cache
def _base() -> dict[str, Event]:
    loaded: dict[str, Event] = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    return loaded


def _value(node: yaml.Node) -> object:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _label(severity: Severity | None) -> str:
    return "no finding" if severity is None else severity.label
