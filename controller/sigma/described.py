# SPDX-License-Identifier: Apache-2.0
"""What a Sigma rule says of itself, as a detection has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.detect.catalogue import Detection
from controller.detect.rule import Finding, Severity
from controller.sigma import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sigma.correlations import SigmaCorrelationRule
    from sigma.rule import SigmaRule

    from controller.detect.rule import Event, Visit

_LEVELS: Final = {
    "INFORMATIONAL": Severity.LOW,
    "LOW": Severity.LOW,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
_TECHNIQUE: Final = re.compile(r"t\d{4}(?:\.\d{3})?")


def described(
    rule: SigmaRule | SigmaCorrelationRule,
    path: Path,
    text: str,
    judge: Callable[[Visit, Event], Finding | None],
    kinds: frozenset[str],
) -> Detection:
    """The detection of a rule, with what it says of itself."""
    tags = [
        each.name.upper()
        for each in rule.tags or ()
        if each.namespace == "attack" and _TECHNIQUE.fullmatch(each.name)
    ]
    return Detection(
        id=f"sigma_{rule.id or re.sub(r'[^a-z0-9]+', '_', rule.title.lower()).strip('_')}"[:80],
        title=rule.title,
        severity=level(rule),
        techniques=tuple(tags),
        description=rule.description or rule.title,
        folder=path.parent,
        rule=judge,
        kinds=kinds,
        document=_document(rule, path, text),
    )


def _document(rule: SigmaRule | SigmaCorrelationRule, path: Path, text: str) -> str:
    """Stands where a detection that comes with nsentry has its strategy."""
    false = "".join(f"- {each}\n" for each in rule.falsepositives or ()) or "None are named.\n"
    links = "".join(f"- {each}\n" for each in rule.references or ())
    quoted = "".join(f"    {line}\n" for line in text.splitlines())
    author = rule.author or "an unnamed author"
    return (
        f"## Goal\n{rule.description or rule.title}\n\n## False Positives\n{false}\n## The rule\n"
        f"A Sigma rule of {author}, `{path.name}`.\n\n{quoted}\n## Additional Resources\n{links}"
    )


def matched(kind: str, asked: tuple[str, ...], event: Event) -> tuple[str, ...]:
    """The paths of the event that a finding quotes."""
    paths = {
        "process": ("process.filename", "process.exe", "process.argv", "process.user"),
        "network": ("exe", "address", "port"),
        "kubernetes": (
            "request.verb",
            "request.resource",
            "request.user",
            "request.namespace",
            "request.name",
        ),
    }[kind]
    if event["kind"] == "connection":
        paths = ("process.exe", "address", "port", "protocol")
    own = tuple(each for each in asked if each.startswith(fields.OWN))
    return ("exe", "argv", *own) if event["kind"] == "activity" and kind == "process" else (*paths, *own)


def level(rule: SigmaRule | SigmaCorrelationRule) -> Severity:
    """How grave; a rule that does not say is medium."""
    return _LEVELS[rule.level.name] if rule.level is not None else Severity.MEDIUM
