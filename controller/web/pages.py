# SPDX-License-Identifier: Apache-2.0
"""Long lists in pages. The link to the next one names the last row of this one, so new rows shift nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Up to SIZE rows, newest first. `next_url` leads to the older ones, None on the last page."""

    SIZE: ClassVar[int] = 100

    rows: list[T]
    next_url: str | None

    @classmethod
    def of(cls, request: Request, rows: Sequence[T], key: Callable[[T], tuple[int, str]]) -> Page[T]:
        """The page of SIZE + 1 rows that were asked for: one too many says that there is a next page."""
        if len(rows) <= cls.SIZE:
            return cls(list(rows), None)
        shown = list(rows[: cls.SIZE])
        when, name = key(shown[-1])
        url = request.url.include_query_params(before=f"{when},{name}")
        return cls(shown, f"{url.path}?{url.query}")


def older_than(request: Request) -> tuple[int, str] | None:
    """Where the page begins: the time (ns) and id of the last row of the page before."""
    when, comma, name = request.query_params.get("before", "").partition(",")
    return (int(when), name) if comma and when.isascii() and when.isdigit() and len(when) < 20 else None


def with_probes(params: QueryParams, names: Sequence[str]) -> dict[str, Any]:
    """The filters among `names`, for the store. `means=all` asks for probes too, `means=probe` for them alone."""
    chosen: dict[str, Any] = {name: params[name] for name in names if params.get(name)}
    asked = chosen.get("means") == "all"
    if asked:
        del chosen["means"]
    return {**chosen, "probes": asked}


def only_probes(request: Request) -> str:
    """The address of the same list with the health checks that it leaves out, and nothing else."""
    url = request.url.remove_query_params(("before", "means")).include_query_params(means="probe")
    return f"{url.path}?{url.query}"
