# SPDX-License-Identifier: Apache-2.0
"""What a folder must hold to be a detection. All problems are found in one run, each with file and line.

`detections test` runs this, then each rule against its tests; the test run refuses a folder with a problem.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from controller.detect import attack, catalogue, examples
from controller.detect.catalogue import ADS, EMULATION, RULE, TESTS, BrokenRuleError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from controller.detect.catalogue import Detection
    from controller.detect.examples import Example

SECTIONS: Final = (
    "Goal",
    "Categorization",
    "Strategy Abstract",
    "Technical Context",
    "Blind Spots and Assumptions",
    "False Positives",
    "Validation",
    "Priority",
    "Response",
    "Additional Resources",
)
"""The framework's, in its order."""
MAX_RULE_LINES: Final = 60
MIN_POSITIVE: Final = 1
MIN_NEGATIVE: Final = 2
BY_HAND: Final = "# Runtimes: host"
"""An emulation that does something to the sensor's host itself, by hand."""
RESPONSE_STEPS: Final = ("Investigate", "Contain", "Remediate", "Report")

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{2,47}")
_HEADING: Final = re.compile(r"## (.+)")
_FILLER: Final = re.compile(r"\b(?:TODO|TBD|FIXME|none available|lorem ipsum)\b", re.IGNORECASE)
_TECHNIQUE: Final = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_COMMAND: Final = re.compile(r"`[^`]*\w[^`]*`")


def check(folder: Path) -> list[Problem]:
    """Everything that is wrong with the detection in `folder`, its tests not run yet."""
    problems = [] if _NAME.fullmatch(folder.name) else [Problem(folder, 1, "the name is not like ns_join")]
    try:
        detection = catalogue.load(folder)
    except BrokenRuleError as error:
        detection = None
        problems.append(error.problem)
    found, bad = examples.load(folder)
    return [*problems, *_rule(folder, detection), *_ads(folder, detection), *bad, *_tests(folder, found, bad),
            *_emulation(folder)]  # fmt: skip


def test(folder: Path) -> list[Problem]:
    """As `check`, and each of its tests run: what the rule gets wrong."""
    problems = check(folder)
    try:
        detection = catalogue.load(folder)
    except BrokenRuleError:
        return problems
    found, _ = examples.load(folder)
    return [*problems, *examples.failures(detection, found)]


def _rule(folder: Path, detection: Detection | None) -> Iterator[Problem]:
    path = folder / RULE
    if detection is None:
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > MAX_RULE_LINES:
        yield Problem(path, MAX_RULE_LINES + 1, f"{len(lines)} lines, a rule has at most {MAX_RULE_LINES}")
    at = next((number for number, line in enumerate(lines, 1) if line.startswith("TECHNIQUES")), 1)
    for technique in detection.techniques:
        if technique not in attack.techniques():
            yield Problem(path, at, f"{technique} is no technique of the vendored slice of ATT&CK")


def _ads(folder: Path, detection: Detection | None) -> Iterator[Problem]:
    path = folder / ADS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        yield Problem(path, 1, "the file is missing")
        return
    sections = _sections(lines)
    yield from _headings(path, sections)
    for name, (line, text) in sections.items():
        if not "".join(text).strip():
            yield Problem(path, line, f"the section {name} is empty")
        for number, each in enumerate(text, line + 1):
            if _FILLER.search(each):
                yield Problem(path, number, f"filler instead of a statement: {each.strip()}")
    yield from _specific(path, sections, detection)


def _headings(path: Path, sections: dict[str, tuple[int, list[str]]]) -> Iterator[Problem]:
    names = [name for name in sections if name in SECTIONS]
    for name in SECTIONS:
        if name not in sections:
            yield Problem(path, 1, f"the section {name} is missing")
    expected = [name for name in SECTIONS if name in sections]
    for found, wanted in zip(names, expected, strict=True):
        if found != wanted:
            yield Problem(
                path, sections[found][0], f"{found} stands where {wanted} belongs: the order is fixed"
            )
            return


def _specific(
    path: Path, sections: dict[str, tuple[int, list[str]]], detection: Detection | None
) -> Iterator[Problem]:
    """What the sections must say so that they are about this detection."""
    line, text = sections.get("Categorization", (1, []))
    named = set(_TECHNIQUE.findall("\n".join(text)))
    for technique in sorted(named - set(attack.techniques())):
        yield Problem(path, line, f"{technique} is no technique of the vendored slice of ATT&CK")
    for technique in detection.techniques if detection is not None else ():
        if technique not in named:
            yield Problem(path, line, f"Categorization does not name {technique}, which the rule has")
    line, text = sections.get("Validation", (1, []))
    if EMULATION not in "\n".join(text):
        yield Problem(path, line, f"Validation does not name the emulation, {EMULATION}")
    line, text = sections.get("Response", (1, []))
    for step in RESPONSE_STEPS:
        if not _COMMAND.search(_step("\n".join(text), step)):
            yield Problem(path, line, f'Response has no step "**{step}.**" with a command in `backticks`')


def _step(text: str, name: str) -> str:
    """What follows **Name.** up to the next step."""
    after = text.partition(f"**{name}.**")[2]
    return re.split(r"\*\*[A-Z]\w+\.\*\*", after, maxsplit=1)[0]


def _sections(lines: Iterable[str]) -> dict[str, tuple[int, list[str]]]:
    """The lines below each second-level heading, with the heading's line number."""
    sections: dict[str, tuple[int, list[str]]] = {}
    text: list[str] = []
    for number, line in enumerate(lines, 1):
        heading = _HEADING.fullmatch(line.rstrip())
        if heading:
            text = []
            sections[heading[1]] = (number, text)
        else:
            text.append(line)
    return sections


def _tests(folder: Path, found: list[Example], bad: list[Problem]) -> Iterator[Problem]:
    if bad:
        return  # how many there are is known only once all can be read
    positive = sum(each.fires is not None for each in found)
    if positive < MIN_POSITIVE:
        yield Problem(folder / TESTS, 1, "no test in which the rule fires")
    if len(found) - positive < MIN_NEGATIVE:
        yield Problem(folder / TESTS, 1, f"fewer than {MIN_NEGATIVE} tests in which the rule must not fire")
    names = [each.name for each in found]
    for each in found:
        if names.count(each.name) > 1:
            yield Problem(each.path, each.line, f"another test is called {each.name!r} too")


def _emulation(folder: Path) -> Iterator[Problem]:
    path = folder / EMULATION
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        yield Problem(path, 1, "the file is missing")
        return
    if not lines or not lines[0].startswith("#!/"):
        yield Problem(path, 1, "does not begin with #! and its interpreter")
    if not os.access(path, os.X_OK):
        yield Problem(path, 1, "is not executable (chmod +x)")
    text = "".join(lines)
    if "set -eu" not in text:
        yield Problem(path, 1, "does not use `set -eu`: it must stop at the first failure")
    if "${CONTAINER" not in text and "${NAME" not in text and BY_HAND not in text:
        yield Problem(
            path, 1, "does not use `CONTAINER`: it must enter the container it is given, or name it (NAME)"
        )
