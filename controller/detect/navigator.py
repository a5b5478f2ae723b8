# SPDX-License-Identifier: Apache-2.0
"""A layer of MITRE's ATT&CK Navigator: which techniques the detections look for, and which are proven.

Format 4.5 of https://github.com/mitre-attack/attack-navigator (layers/spec/v4.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROVEN, STALE, UNPROVEN = 100, 50, 25
"""Scores of a technique: the best of its detections."""
_COLOURS: Final = ("#f2d0a9", "#d9c86c", "#4d9e6a")


def layer(techniques: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The layer of what `detections coverage` says: technique, detections, state, proven."""
    return {
        "name": "nsentry detections",
        "versions": {"attack": "18", "navigator": "5.1.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": "What nsentry looks for at the door of containers: proven, stale or not proven by emulation",
        "filters": {"platforms": ["Containers", "Linux"]},
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True},
        "hideDisabled": False,
        "techniques": [_technique(each) for each in techniques],
        "gradient": {"colors": list(_COLOURS), "minValue": UNPROVEN, "maxValue": PROVEN},
        "legendItems": [
            {"label": "proven lately", "color": _COLOURS[2]},
            {"label": "proven, and that is long ago", "color": _COLOURS[1]},
            {"label": "never proven here", "color": _COLOURS[0]},
        ],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _technique(row: Mapping[str, Any]) -> dict[str, Any]:
    score = {"proven": PROVEN, "stale": STALE}.get(row["state"], UNPROVEN)
    named = ", ".join(row["detections"])
    return {
        "techniqueID": row["technique"],
        "score": score,
        "enabled": True,
        "comment": f"{named}; last proven {row['proven'] or 'never'}",
        "metadata": [{"name": "detections", "value": named}],
        "showSubtechniques": "." in row["technique"],
    }
