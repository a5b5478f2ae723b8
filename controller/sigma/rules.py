# SPDX-License-Identifier: Apache-2.0
"""A folder of Sigma files as detections; why each of the others is none, by file and line."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import yaml

from controller.detect.catalogue import Problem
from controller.detect.rule import Finding
from controller.errors import ConfigurationError
from controller.sigma import fields

try:  # an extra: whoever has no Sigma rules needs none of it
    from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule
    from sigma.exceptions import SigmaError
    from sigma.rule import SigmaRule

    from controller.sigma.conditions import CannotMapError, build, names
    from controller.sigma.correlate import Base, Window, alias
    from controller.sigma.described import described, level, matched
except ImportError as error:  # pragma: no cover - the tests have it
    raise ConfigurationError("Sigma rules need pySigma: pip install 'nsentry[sigma]'") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controller.detect.catalogue import Detection
    from controller.detect.rule import Event, Visit

MAX_FILE: Final = 1024 * 1024
MAX_TOLD: Final = 10_000
TOLD_NS: Final = 3600 * 1_000_000_000
"""What a container goes on doing is counted each minute: who looks back an hour knows what was told of it."""
COUNTED: Final = frozenset({"event_count", "value_count"})
TOGETHER: Final = frozenset({"temporal", "temporal_ordered"})


@dataclass(frozen=True, slots=True)
class Mapped:
    """A rule that has a meaning here: its kind of log, and its test."""

    rule: SigmaRule
    path: Path
    text: str
    kind: str
    test: Callable[[Visit, Event], bool]
    asked: tuple[str, ...]

    def matches(self, visit: Visit, event: Event) -> bool:
        """Whether the event is of its kind of log, and as the rule wants it."""
        return (
            event["kind"] in fields.KINDS[self.kind]
            and fields.concerns(self.kind, event)
            and self.test(visit, event)
        )


@dataclass(slots=True)
class Loaded:
    """What is in a folder. `others` are rules for logs that nsentry does not stand for, such as Windows'."""

    detections: list[Detection] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    others: list[Problem] = field(default_factory=list)
    rules: int = 0

    @property
    def share(self) -> float:
        """How many of the rules that are meant for such logs map; 1.0 when there are none."""
        meant = self.rules - len(self.others)
        return len(self.detections) / meant if meant else 1.0


@dataclass(frozen=True, slots=True)
class _Document:
    path: Path
    line: int
    text: str
    body: dict[str, Any]


def load(root: Path) -> Loaded:
    """All rules of the YAML files below `root`, or in that file. ConfigurationError: it is not there."""
    if not root.exists():
        raise ConfigurationError(f"sigma.rules: {root} does not exist: make the folder, or set another")
    loaded = Loaded()
    mapped: dict[str, Mapped] = {}
    correlations = []
    bases: list[Mapped] = []
    for document in _documents(root, loaded):
        loaded.rules += 1
        if "correlation" in document.body:
            correlations.append(document)
            continue
        rule = _map(document, loaded)
        if rule is not None:
            bases.append(rule)
            mapped |= {name: rule for name in (rule.rule.name, str(rule.rule.id or "")) if name}
    silent = _correlate(correlations, mapped, loaded)
    loaded.detections[:0] = [_detection(each) for each in bases if id(each) not in silent]
    loaded.rules -= len(silent)  # they are parts of the correlations that ask for them
    _rename(loaded.detections)
    return loaded


def _rename(detections: list[Detection]) -> None:
    """Two rules of one id, perhaps copies, are two detections."""
    seen: dict[str, int] = {}
    for position, each in enumerate(detections):
        seen[each.id] = seen.get(each.id, 0) + 1
        if seen[each.id] > 1:
            detections[position] = replace(each, id=f"{each.id}_{seen[each.id]}")


def _documents(root: Path, loaded: Loaded) -> Iterator[_Document]:
    paths = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.suffix in {".yml", ".yaml"})
    for path in paths:
        try:
            if path.stat().st_size > MAX_FILE:
                loaded.problems.append(Problem(path, 1, f"more than {MAX_FILE} bytes"))
                continue
            text = path.read_text(encoding="utf-8")
            nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
            bodies = list(yaml.safe_load_all(text))
        except (OSError, UnicodeDecodeError) as error:
            loaded.problems.append(Problem(path, 1, f"cannot be read: {error}"))
            continue
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            loaded.problems.append(
                Problem(path, mark.line + 1 if mark else 1, f"is not YAML: {_first_line(error)}")
            )
            loaded.rules += 1
            continue
        for node, body in zip(nodes, bodies, strict=True):
            if isinstance(body, dict):
                yield _Document(path, node.start_mark.line + 1, text, body)
            elif body is not None:
                loaded.rules += 1
                loaded.problems.append(
                    Problem(path, node.start_mark.line + 1, "is no Sigma rule: not a mapping")
                )


def _map(document: _Document, loaded: Loaded) -> Mapped | None:
    """The rule with its test, or None and why not."""
    try:
        rule = SigmaRule.from_dict(document.body)
        source = rule.logsource
        kind = fields.log_kind(source.product, source.category, source.service)
        if kind is None:
            told = "/".join(each for each in (source.product, source.category, source.service) if each)
            loaded.others.append(
                Problem(document.path, _line(document, "logsource"), f"{told}: no such log here")
            )
            return None
        trees = [each.parsed for each in rule.detection.parsed_condition]
        tests = [build(each, kind) for each in trees]
        asked = tuple(sorted(set().union(*(names(each) for each in trees))))
    except CannotMapError as error:
        loaded.problems.append(
            Problem(document.path, _line(document, error.field or "condition"), str(error))
        )
    except (SigmaError, ValueError, TypeError, KeyError, AttributeError) as error:
        # pySigma tells most of what is wrong by its own errors, and some by Python's.
        at = _line(document, "detection") if "Regular expression" in str(error) else document.line
        loaded.problems.append(Problem(document.path, at, f"is no Sigma rule: {_first_line(error)}"))
    else:
        return Mapped(
            rule,
            document.path,
            document.text,
            kind,
            lambda visit, event: any(test(visit, event) for test in tests),
            asked,
        )
    return None


def _correlate(documents: list[_Document], mapped: dict[str, Mapped], loaded: Loaded) -> set[int]:
    """Adds the correlations; the base rules that are not detections by themselves, by `id()`."""
    silent: set[int] = set()
    for document in documents:
        try:
            rule = SigmaCorrelationRule.from_dict(document.body)
            bases = _bases(rule, mapped)
            windows = _window(rule, bases)
        except CannotMapError as error:
            loaded.problems.append(
                Problem(document.path, _line(document, error.field or "correlation"), str(error))
            )
        except (SigmaError, ValueError, TypeError, KeyError, AttributeError) as error:
            text = f"is no Sigma correlation: {_first_line(error)}"
            loaded.problems.append(Problem(document.path, document.line, text))
        else:
            kinds = frozenset().union(*(fields.KINDS[each.kind] for each in bases.values()))
            judge = _correlated(rule, windows, bases)
            made = described(rule, document.path, document.text, judge, kinds)
            loaded.detections.append(replace(made, span=windows.span, remembers=kinds))
            if not rule.generate:
                silent |= {id(each) for each in bases.values()}
    return silent


def _bases(rule: SigmaCorrelationRule, mapped: dict[str, Mapped]) -> dict[str, Mapped]:
    type_ = rule.type.name.lower()
    if type_ not in COUNTED | TOGETHER:
        raise CannotMapError(f"correlations of the type {type_} are not evaluated here", "type")
    bases = {}
    for each in rule.rules or ():
        if each.reference not in mapped:
            raise CannotMapError(
                f"the rule {each.reference!r} is not in the folder, or cannot be mapped itself", "rules"
            )
        bases[each.reference] = mapped[each.reference]
    return bases


def _window(rule: SigmaCorrelationRule, bases: dict[str, Mapped]) -> Window:
    type_ = rule.type.name.lower()
    condition = None
    if type_ in COUNTED:
        if not isinstance(rule.condition, SigmaCorrelationCondition):
            raise CannotMapError("a count needs a condition such as gte: 3", "condition")
        condition = (rule.condition.op.name, float(rule.condition.count))
    elif not isinstance(rule.condition, SigmaCorrelationCondition | None):
        raise CannotMapError(
            "extended conditions of temporal correlations are not evaluated here", "condition"
        )
    aliases = {
        each.alias: {ref.reference: name for ref, name in each.mapping.items()} for each in rule.aliases
    }
    made = []
    for name, base in bases.items():
        groups = [_read(base, alias(aliases, each, name)) for each in rule.group_by or ()]
        value = None
        if type_ == "value_count" and isinstance(rule.condition, SigmaCorrelationCondition):
            reference = rule.condition.fieldref
            wanted = reference[0] if isinstance(reference, list) else reference
            if wanted is None:
                raise CannotMapError("value_count needs a field in its condition", "condition")
            value = _read(base, alias(aliases, wanted, name))
        made.append(Base(name, base.matches, groups, value))
    return Window(type_, made, rule.timespan.seconds * 1_000_000_000, condition)


def _read(base: Mapped, name: str) -> fields.Reader:
    read = fields.reader(base.kind, name)
    if read is None:
        raise CannotMapError(f"the field {name} has no counterpart in events of {base.kind}", name)
    return read


def _detection(mapped: Mapped) -> Detection:
    told: OrderedDict[tuple[str, str], str] = OrderedDict()

    def rule(visit: Visit, event: Event) -> Finding | None:
        if not mapped.matches(visit, event) or _counted(told, event):
            return None
        return Finding(
            level(mapped.rule),
            f"the Sigma rule {mapped.rule.title!r} matches",
            matched(mapped.kind, mapped.asked, event),
        )

    made = described(mapped.rule, mapped.path, mapped.text, rule, fields.KINDS[mapped.kind])
    return replace(made, span=TOLD_NS, remembers=made.kinds & {"activity"})


def _counted(told: OrderedDict[tuple[str, str], str], event: Event) -> bool:
    """Whether it is only another count of what a container does of itself, which was found already."""
    if event["kind"] != "activity":
        return False
    key = (event["container_id"], event["key"])
    first: str = told.setdefault(key, event["id"])
    if len(told) > MAX_TOLD:
        told.popitem(last=False)
    return bool(first != event["id"])


def _correlated(
    rule: SigmaCorrelationRule, window: Window, bases: dict[str, Mapped]
) -> Callable[[Visit, Event], Finding | None]:
    def judge(visit: Visit, event: Event) -> Finding | None:
        said = window.see(visit, event)
        if said is None:
            return None
        first = next(iter(bases.values()))
        return Finding(
            level(rule),
            f"the Sigma correlation {rule.title!r} matches: {said}",
            matched(first.kind, first.asked, event),
        )

    return judge


def _line(document: _Document, word: str) -> int:
    """The line on which a key stands in its document, from 1."""
    lines = document.text.splitlines()
    key = re.compile(rf"^\s*(?:-\s*)?['\"]?{re.escape(word)}['\"]?\s*(?:\||:)")
    for number in range(document.line, len(lines) + 1):
        if key.match(lines[number - 1]):
            return number
    return document.line


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
