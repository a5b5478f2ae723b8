# SPDX-License-Identifier: Apache-2.0
"""MITRE ATT&CK: the techniques that detections may name, from a vendored slice (`attack.json`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_SLICE: Final = Path(__file__).with_name("attack.json")


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique or sub-technique, its tactics in the order of their short names."""

    id: str
    name: str
    tactics: tuple[str, ...]


@cache
def techniques() -> dict[str, Technique]:
    """All techniques of the slice by id. An id that is not here is refused: extend the slice first."""
    listed = json.loads(_SLICE.read_text(encoding="utf-8"))["techniques"]
    return {each: Technique(each, name, tuple(tactics)) for each, (name, tactics) in listed.items()}
