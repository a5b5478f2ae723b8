# SPDX-License-Identifier: Apache-2.0
"""All detections of a controller: nsentry's own, those of the operators, and the Sigma rules that the settings name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from controller.detect import catalogue
from controller.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from controller.detect.catalogue import Detection, Problem

log = logging.getLogger(__name__)


def detections(
    sigma_rules: Path | None = None, own: Path | None = None
) -> tuple[list[Detection], list[Problem]]:
    """Those that load, and why the others do not. ConfigurationError: a folder or pySigma is missing."""
    loaded, problems = catalogue.load_all()
    if own is not None:
        more, wrong = _own(own, {each.id for each in loaded})
        loaded, problems = [*loaded, *more], [*problems, *wrong]
    if sigma_rules is not None:
        from controller.sigma.rules import load  # noqa: PLC0415 - an extra: pySigma

        sigma = load(sigma_rules)
        loaded, problems = [*loaded, *sigma.detections], [*problems, *sigma.problems]
    return loaded, problems


def folders(own: Path | None) -> list[Path]:
    """The folders of all detections that have one. ConfigurationError: `own` is missing."""
    return [*catalogue.folders(), *(catalogue.folders(_there(own)) if own is not None else ())]


def logged(sigma_rules: Path | None = None, own: Path | None = None) -> list[Detection]:
    """Those that load; the log has the others."""
    loaded, problems = detections(sigma_rules, own)
    for problem in problems:
        log.error("a detection was left out: %s", problem)
    return loaded


def _own(root: Path, taken: set[str]) -> tuple[list[Detection], list[Problem]]:
    """What operators wrote: with a strategy, for pages and reports show it, and under a name that is free."""
    found, problems = catalogue.load_all(_there(root))
    wrong = {
        each.id: catalogue.Problem(
            each.folder / catalogue.RULE, 1, "a detection of nsentry has this name: name the folder otherwise"
        )
        for each in found
        if each.id in taken
    }
    wrong |= {
        each.id: catalogue.Problem(each.folder / catalogue.ADS, 1, "the file is missing")
        for each in found
        if not (each.folder / catalogue.ADS).is_file()
    }
    return [each for each in found if each.id not in wrong], [*problems, *wrong.values()]


def _there(own: Path) -> Path:
    if not own.is_dir():
        raise ConfigurationError(f"detections.folder: {own} does not exist: make the folder, or set another")
    return own
