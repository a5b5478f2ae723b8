# SPDX-License-Identifier: Apache-2.0
"""What the list of alerts shows, as its address says it: the whole state of the page is in the URL (Q5).

    /alerts?severity=high&severity=critical&-host=build1&state=all&q=nsenter&since=24h&order=newest

A facet's name asks for one of the values, with a minus before it for none of them; an empty value means "not
known". Without `state` the open alerts are meant, `state=all` stands for all. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from controller.store.alerts import FACETS, AlertFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import QueryParams

    from controller.store.alerts import Order

RANGES: Final = {
    "1h": "last hour",
    "24h": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "": "all",
}
DEFAULT_STATE: Final = ("open",)
PAGE: Final = 100
OPEN: Final = AlertFilter({"state": DEFAULT_STATE})
"""All open alerts: what is counted at the top of each page."""
_MAX_VALUES: Final = 50
_MAX_TEXT: Final = 200
_SECOND: Final = 1_000_000_000
_LAST: Final = 9_000_000_000
"""The latest second whose nanoseconds a database's integer holds, rounded down."""
_UNITS: Final = {"h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Query:
    """One way to look at the alerts. It changes by making another one, whose `url` is a link."""

    include: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"state": DEFAULT_STATE})
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: str = ""
    since: str = ""
    at: str = ""
    """A stretch of time in seconds since the epoch, "1795000000-1795003600", in place of `since`."""
    order: Order = "severity"
    page: int = 1

    @property
    def offset(self) -> int:
        """How many alerts are on the pages before."""
        return (self.page - 1) * PAGE

    @property
    def narrowed(self) -> bool:
        """It asks for something besides the state."""
        return bool(self.chips() or self.text or self.since or self.at)

    @property
    def stretch(self) -> tuple[int, int] | None:
        """The stretch of time that is asked for, ns: from, and up to but without."""
        if not self.at:
            return None
        start, _, end = self.at.partition("-")
        return int(start) * _SECOND, int(end) * _SECOND

    def chips(self) -> list[tuple[str, str, bool]]:
        """What is filtered by, besides the state: (facet, value, whether it is taken out)."""
        taken = [(name, value, False) for name, values in self.include.items() for value in values]
        left = [(name, value, True) for name, values in self.exclude.items() for value in values]
        return [chip for chip in (*taken, *left) if chip[0] != "state" or chip[2]]

    def has(self, facet: str, value: str) -> bool:
        """Alerts with this value were asked for."""
        return value in self.include.get(facet, ())

    def lacks(self, facet: str, value: str) -> bool:
        """Alerts with this value were taken out."""
        return value in self.exclude.get(facet, ())

    def toggled(self, facet: str, value: str) -> Query:
        """With the value asked for; without, if it was. Taken out it is no longer."""
        exclude = _without(self.exclude, facet, value)
        if self.has(facet, value):
            return replace(self, include=_without(self.include, facet, value), exclude=exclude, page=1)
        return replace(self, include=_with(self.include, facet, value), exclude=exclude, page=1)

    def without(self, facet: str, value: str) -> Query:
        """With the value taken out; no longer so, if it was."""
        include = _without(self.include, facet, value)
        if self.lacks(facet, value):
            return replace(self, include=include, exclude=_without(self.exclude, facet, value), page=1)
        return replace(self, include=include, exclude=_with(self.exclude, facet, value), page=1)

    def states(self, *states: str) -> Query:
        """Of these states instead; of all, if none is given."""
        return replace(self, include={**self.include, "state": states}, page=1)

    def plain(self) -> Query:
        """All filters off but that of the state."""
        return Query(include={"state": self.include.get("state", ())}, order=self.order)

    def url(self, path: str = "/alerts", **changes: object) -> str:
        """The address of `path` that stands for this query, with some of its fields changed."""
        query = replace(self, **changes) if changes else self  # type: ignore[arg-type]
        pairs = query.pairs()
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def fields(self) -> list[tuple[str, str]]:
        """What a search form must carry along so that only text and range change."""
        return [pair for pair in replace(self, page=1).pairs() if pair[0] not in {"q", "since"}]

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of its address, the defaults left out."""
        pairs: list[tuple[str, str]] = []
        for name in FACETS:
            values = self.include.get(name, ())
            if name == "state" and values == DEFAULT_STATE:
                values = ()
            elif name == "state" and not values:
                values = ("all",)
            pairs += [(name, value) for value in values]
            pairs += [(f"-{name}", value) for value in self.exclude.get(name, ())]
        rest = {
            "q": self.text,
            "since": self.since,
            "at": self.at,
            "order": "" if self.order == "severity" else self.order,
        }
        pairs += [(name, value) for name, value in rest.items() if value]
        return [*pairs, ("page", str(self.page))] if self.page > 1 else pairs

    def filter(self, now: int) -> AlertFilter:
        """What to ask the store for; `now` in ns gives the relative range its beginning."""
        length = int(self.since[:-1]) * _UNITS[self.since[-1]] * _SECOND if self.since else None
        start, end = self.stretch or (None if length is None else now - length, None)
        return AlertFilter(
            include={name: values for name, values in self.include.items() if values},
            exclude={name: values for name, values in self.exclude.items() if values},
            text=self.text,
            since=start,
            until=end,
        )


def parse(params: QueryParams) -> Query:
    """The query of an address. What makes no sense is left out, not an error: people edit addresses."""
    include = {name: _values(params, name) for name in FACETS}
    if "state" not in params:
        include["state"] = DEFAULT_STATE
    elif "all" in include["state"]:
        include["state"] = ()
    since = (
        params.get("since", "")
        if re.fullmatch(r"[1-9]\d{0,3}[hd]", params.get("since", ""), re.ASCII)
        else ""
    )
    at = params.get("at", "")
    page = params.get("page", "1")
    return Query(
        include={name: values for name, values in include.items() if values or name == "state"},
        exclude={name: values for name in FACETS if (values := _values(params, f"-{name}"))},
        text=params.get("q", "").strip()[:_MAX_TEXT],
        since=since,
        at="" if since or not _is_stretch(at) else at,
        order="newest" if params.get("order") == "newest" else "severity",
        page=int(page) if re.fullmatch(r"[1-9]\d{0,4}", page, re.ASCII) else 1,
    )


def _is_stretch(at: str) -> bool:
    parts = re.fullmatch(r"(\d{1,10})-(\d{1,10})", at, re.ASCII)
    return parts is not None and int(parts[1]) < int(parts[2]) <= _LAST


def _values(params: QueryParams, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(params.getlist(name)))[:_MAX_VALUES]


def _with(values: Mapping[str, tuple[str, ...]], facet: str, value: str) -> dict[str, tuple[str, ...]]:
    return {**values, facet: (*values.get(facet, ()), value)}


def _without(values: Mapping[str, tuple[str, ...]], facet: str, value: str) -> dict[str, tuple[str, ...]]:
    return {**values, facet: tuple(each for each in values.get(facet, ()) if each != value)}
