# SPDX-License-Identifier: Apache-2.0
"""The chores of a benign day: what people and machines do to containers that is no attack, and who says so.

Each is a script in `chores/`, run against one container as a detection's emulate.sh is (script.py). Its comments say,
besides what it does and its runtimes, by what it is to be quiet:

    # Approval                           it comes as LOGIN, a login uid for which a window is opened
    # Exception DETECTION: EXPRESSION    what an operator would except; it is narrowed to the containers of the run

One without either must be quiet by itself. They follow what operators name as false positives of such detections:
backups, probes, log rotation and shippers, releases, builds, playbooks, CI jobs, certificates, migrations, on-call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.emulation import script

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).with_name("chores")
_EXCEPTION: Final = re.compile(r"Exception (\w+)(?:: (.+))?")


@dataclass(frozen=True, slots=True)
class Excepted:
    """What an operator would say of a chore: of this detection, findings for which the expression holds."""

    detection: str
    expression: str | None


@dataclass(frozen=True, slots=True)
class Chore:
    """One of them."""

    name: str
    path: Path
    does: str
    runtimes: tuple[str, ...]
    approval: bool
    exceptions: tuple[Excepted, ...]


def load_all() -> list[Chore]:
    """All of them, by name."""
    return [_load(path) for path in sorted(FOLDER.glob("*.sh"))]


def _load(path: Path) -> Chore:
    said = list(script.comments(path))
    return Chore(
        path.stem,
        path,
        script.does(path),
        script.runtimes(path),
        "Approval" in said,
        tuple(_exceptions(said)),
    )


def _exceptions(said: list[str]) -> Iterator[Excepted]:
    for found in filter(None, map(_EXCEPTION.fullmatch, said)):
        yield Excepted(found[1], found[2])
