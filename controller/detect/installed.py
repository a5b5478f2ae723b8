# SPDX-License-Identifier: Apache-2.0
"""All detections of a controller: those that come with nsentry, and the Sigma rules that its settings name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from controller.detect import catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from controller.detect.catalogue import Detection, Problem

log = logging.getLogger(__name__)


def detections(sigma_rules: Path | None) -> tuple[list[Detection], list[Problem]]:
    """Those that load, and why the others do not. ConfigurationError: the folder or pySigma is missing."""
    loaded, problems = catalogue.load_all()
    if sigma_rules is not None:
        from controller.sigma.rules import load  # noqa: PLC0415 - an extra: pySigma

        sigma = load(sigma_rules)
        loaded, problems = [*loaded, *sigma.detections], [*problems, *sigma.problems]
    return loaded, problems


def logged(sigma_rules: Path | None) -> list[Detection]:
    """Those that load; the log has the others."""
    loaded, problems = detections(sigma_rules)
    for problem in problems:
        log.error("a detection was left out: %s", problem)
    return loaded
