# SPDX-License-Identifier: Apache-2.0
"""Detections as folders on the disk: what is in one, and how its rule is loaded.

    controller/detections/<id>/
        rule.py      TITLE, SEVERITY, TECHNIQUES and the function `rule`; the docstring is the description.
                     KINDS where it is asked about others than the events of a visit; MEANS, ACTIONS, PROGRAMS and
                     TEXT where it cannot find anything without (see `interest`)
        ADS.md       the strategy: Palantir's Alerting and Detection Strategy framework, all ten sections
        tests.yaml   events for which it must fire, and events for which it must not (see `examples`)
        emulate.sh   does the real thing to a disposable container

The name of the folder is the id of the detection.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.detect.interest import NOTHING, Declared
from controller.detect.rule import ALONE, JUDGED, Severity

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from controller.detect.rule import Event, Finding, Visit

BUILT_IN: Final = Path(__file__).parent.parent / "detections"
RULE: Final = "rule.py"
ADS: Final = "ADS.md"
TESTS: Final = "tests.yaml"
EMULATION: Final = "emulate.sh"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a folder that must be mended before its detection counts. `line` from 1."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class BrokenRuleError(Exception):
    """A `rule.py` that cannot be used. `problem` says where and why."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        self.problem = Problem(path, line, text)
        super().__init__(str(self.problem))


@dataclass(frozen=True, slots=True)
class Detection:
    """A detection whose rule is loaded. `severity` is the gravest that its rule can give."""

    id: str
    title: str
    severity: Severity
    techniques: tuple[str, ...]
    description: str
    folder: Path
    rule: Callable[[Visit, Event], Finding | None]
    kinds: frozenset[str] = JUDGED
    """The kinds of event that its rule is asked about."""
    span: int = 0
    """How far its rule remembers what it was shown, ns: so much is shown to it again after a restart."""
    remembers: frozenset[str] = frozenset()
    """Of which kinds."""
    declared: Declared = NOTHING
    """What its rule cannot find anything without: events that lack it are not shown to it."""
    document: str | None = None
    """Of a detection that has no folder of its own: what stands for its strategy document."""

    def ads(self) -> str:
        """The text of its strategy document, Markdown."""
        if self.document is not None:
            return self.document
        return (self.folder / ADS).read_text(encoding="utf-8")

    @property
    def emulation(self) -> Path:
        """Its emulation, which runs against the container that the environment names."""
        return self.folder / EMULATION


def folders(root: Path = BUILT_IN) -> list[Path]:
    """The folders of detections below `root`, by name."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))


def load_all(root: Path = BUILT_IN) -> tuple[list[Detection], list[Problem]]:
    """Every detection below `root` that loads, and why each of the others does not."""
    detections, problems = [], []
    for folder in folders(root):
        try:
            detections.append(load(folder))
        except BrokenRuleError as error:
            problems.append(error.problem)
    return detections, problems


def load(folder: Path) -> Detection:
    """The detection in `folder`. Raises BrokenRuleError; `check` finds the rest of what may be wrong."""
    path = folder / RULE
    module = _execute(path, f"nsentry_detection_{folder.name}")
    title, severity = getattr(module, "TITLE", None), getattr(module, "SEVERITY", None)
    techniques, rule = getattr(module, "TECHNIQUES", None), getattr(module, "rule", None)
    if not isinstance(title, str) or not title.strip():
        raise BrokenRuleError(path, 1, "TITLE is missing: the behaviour in a few words, as alerts name it")
    if not isinstance(severity, Severity):
        raise BrokenRuleError(path, 1, "SEVERITY is missing: the gravest Severity that the rule can give")
    if not isinstance(techniques, tuple) or not techniques:
        raise BrokenRuleError(path, 1, 'TECHNIQUES is missing: a tuple of ATT&CK ids such as ("T1609",)')
    if not callable(rule) or list(inspect.signature(rule).parameters) != ["visit", "event"]:
        raise BrokenRuleError(path, 1, "there is no function rule(visit, event)")
    kinds = getattr(module, "KINDS", JUDGED)
    if not isinstance(kinds, frozenset) or not kinds or not kinds <= JUDGED | ALONE:
        raise BrokenRuleError(path, 1, f"KINDS is a frozenset of some of {', '.join(sorted(JUDGED | ALONE))}")
    description = inspect.cleandoc(module.__doc__ or "")
    if not description:
        raise BrokenRuleError(path, 1, "the docstring is missing: it is the description of the detection")
    return Detection(folder.name, title, severity, techniques, description, folder, rule, kinds,
                     declared=_declared(path, module))  # fmt: skip


def _declared(path: Path, module: ModuleType) -> Declared:
    """What a rule says that it cannot do without; nothing: it is asked about everything of its KINDS."""
    means, actions = getattr(module, "MEANS", None), getattr(module, "ACTIONS", None)
    programs: object = getattr(module, "PROGRAMS", frozenset())
    text: object = getattr(module, "TEXT", ())
    for name, value in (("MEANS", means), ("ACTIONS", actions)):
        if value is not None and not isinstance(value, frozenset):
            raise BrokenRuleError(path, 1, f"{name} is a frozenset of words")
    if not isinstance(programs, frozenset):
        raise BrokenRuleError(path, 1, "PROGRAMS is a frozenset of words")
    if not isinstance(text, tuple) or not all(isinstance(each, re.Pattern) for each in text):
        raise BrokenRuleError(path, 1, "TEXT is a tuple of compiled patterns")
    return Declared(means, actions, programs, text)


def _execute(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BrokenRuleError(path, 1, "cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        raise BrokenRuleError(path, 1, "the file is missing") from error
    except SyntaxError as error:
        raise BrokenRuleError(path, error.lineno or 1, f"is not Python: {error.msg}") from error
    except Exception as error:
        raise BrokenRuleError(path, _line_in(path, error), f"fails when loaded: {error!r}") from error
    return module


def _line_in(path: Path, error: Exception) -> int:
    """The last line of `path` on the way to `error`; 1 if it was not on the way."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
