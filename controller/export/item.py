# SPDX-License-Identifier: Apache-2.0
"""What is exported: one change of an alert, or one event. Every format is a pure function of an item."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

What = Literal["alerts", "events"]
Activity = Literal["create", "update", "close", "event"]

PAGED: Final = frozenset({"raised", "escalated", "reopened", "test"})
"""Actions in an alert's history that a person is told of: what people do themselves is no news to them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One message. `id` names it for ever: whoever gets it twice can tell by it.

    `body` is of an alert what `alerts show --json` has without history and visit, of an event the wire event
    with the updates merged in that are known by now. `action` is the step of the alert's history or the event's kind.
    """

    id: str
    seq: int
    what: What
    activity: Activity
    action: str
    time: int
    """Of the change or the event, ns since the epoch."""
    severity: int
    """1 low to 4 critical; 0 of an event."""
    host: str
    host_id: str
    body: Mapping[str, Any]
    emulation: bool = False
    """Staged by `emulate`: marked in every format, and nobody is paged."""
    test: bool = False
    detail: Mapping[str, Any] | None = None
    """What the step of the history says of itself: from and to, the reason, the comment."""
    corrects: str | None = None
    """Of an update: the id of the event that is told anew, with what was learned."""


def plain(item: Item) -> dict[str, Any]:
    """The format "json": nsentry's own names, as the command line prints them."""
    told: dict[str, Any] = {
        "id": item.id,
        "type": item.what.removesuffix("s"),
        "activity": item.activity,
        "action": item.action,
        "time_ns": item.time,
        "host": item.host,
        "host_id": item.host_id,
        "emulation": item.emulation,
        "test": item.test,
    }
    if item.what == "alerts":
        return {**told, "detail": dict(item.detail or {}), "alert": dict(item.body)}
    return {**told, "seq": item.seq, "corrects": item.corrects, "event": dict(item.body)}


def line(document: Mapping[str, Any]) -> str:
    """One line of ASCII: JSON's escapes hold every character that a container may have chosen.

    Lone surrogates, which no UTF-8 can hold and strict parsers refuse, become visible escapes.
    """
    return json.dumps(_cleaned(document), ensure_ascii=True, separators=(",", ":"))


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(each) for key, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list | tuple) else value


def command_line(process: Mapping[str, Any] | None) -> str | None:
    """The words of a process with blanks between them; None when they are not known."""
    argv = process.get("argv") if process else None
    return " ".join(argv) if argv else None
