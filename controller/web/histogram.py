# SPDX-License-Identifier: Apache-2.0
"""The drawing of alerts over time: bars that lead to their stretch of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.store.views import Stretch
    from controller.web.filters import Query

HEIGHT: Final = 40
BAR: Final = 10
"""Width of a bar with its gap; the drawing is stretched to the page's width."""
_SECOND: Final = 1_000_000_000


def draw(stretches: Sequence[Stretch], query: Query) -> dict[str, Any] | None:
    """What the template draws; None where there is nothing to see: no alert, or all in one moment."""
    most = max((each["count"] for each in stretches), default=0)
    if most == 0:
        return None
    bars = [_bar(at, each, most, query) for at, each in enumerate(stretches) if each["count"]]
    start, end = _seconds(stretches[0]["start_ns"]), -(-stretches[-1]["end_ns"] // _SECOND)
    return {
        "bars": bars,
        "width": BAR * len(stretches),
        "height": HEIGHT,
        "start": stretches[0]["start"],
        "end": stretches[-1]["end"],
        "from": start,
        "to": end,
        "zoom": query.url(at="0-1", since="", page=1),
        "total": sum(each["count"] for each in stretches),
        "most": most,
    }


def _bar(at: int, stretch: Stretch, most: int, query: Query) -> dict[str, Any]:
    height = max(3, round(HEIGHT * stretch["count"] / most))
    start = _seconds(stretch["start_ns"])
    inside = f"{start}-{max(start + 1, -(-stretch['end_ns'] // _SECOND))}"
    alerts = "alert" if stretch["count"] == 1 else "alerts"
    return {
        "x": at * BAR,
        "y": HEIGHT - height,
        "width": BAR - 2,
        "height": height,
        "worst": stretch["worst"],
        "url": query.url(at=inside, since="", page=1),
        "label": f"{stretch['count']} {alerts}, at worst {stretch['worst']}, "
        f"{stretch['start'][:16].replace('T', ' ')} to {stretch['end'][:16].replace('T', ' ')} UTC",
    }


def _seconds(ns: int) -> int:
    return ns // _SECOND
