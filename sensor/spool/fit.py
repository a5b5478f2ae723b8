# SPDX-License-Identifier: Apache-2.0
"""The last bound before the disk: what is too long in an event is cut, for none is dropped for its size.

The parts that make an event keep its bounds themselves. Were one of them to forget a field, the controller
would refuse the event, and a visitor could hide by a long argument: so what is too long is cut, and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sensor import wire

_log: Final = logging.getLogger("sensor.spool")

MAX_EVENT_BYTES: Final = wire.MAX_BATCH_BYTES - 64 * 1024
"""Largest packed event: it has to go into a batch with the batch's own fields."""

_SHORT_TEXT: Final = 256
_FEW: Final = 32
_MAX_DEPTH: Final = 8


def pack_all(events: Iterable[Mapping[str, Any]], prefix: str) -> tuple[list[tuple[int, bytes]], int, int]:
    """Sequence and bytes of each event; how many had to be cut, and how many cannot be packed at all.

    `prefix` is what the id of each begins with, before its sequence.
    """
    rows: list[tuple[int, bytes]] = []
    shortened = unpackable = 0
    for event in events:
        try:
            sequence = int(str(event["id"]).removeprefix(prefix))
            body, was_cut = fit(event)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            _log.error("an event of kind %r cannot be kept: %s", event.get("kind"), error)
            unpackable += 1
            continue
        shortened += was_cut
        rows.append((sequence, body))
    return rows, shortened, unpackable


def fit(event: Mapping[str, Any]) -> tuple[bytes, bool]:
    """The packed event, and whether anything of it had to be cut.

    Raises ValueError or TypeError for what cannot be packed however it is cut.
    """
    if _fits(event) and len(event.get("ancestry", ())) <= wire.MAX_ANCESTRY:
        try:
            packed = wire.pack(event)
        except UnicodeEncodeError:
            pass  # a lone surrogate: escaped below
        else:
            if len(packed) <= MAX_EVENT_BYTES:
                return packed, False
    packed = wire.pack(_fitted(event, wire.MAX_TEXT, wire.MAX_ARGS))
    if len(packed) > MAX_EVENT_BYTES:
        packed = wire.pack(_fitted(event, _SHORT_TEXT, _FEW))
    if len(packed) > MAX_EVENT_BYTES:
        raise ValueError(f"{len(packed)} bytes, at most {MAX_EVENT_BYTES} can be sent")
    return packed, True


def _fits(value: Any, depth: int = 0) -> bool:  # noqa: ANN401 - any value of an event
    """A quick look, for nearly every event fits as it is."""
    kind = type(value)
    if kind is str:
        return len(value) <= wire.MAX_TEXT
    if kind is dict:
        return depth <= _MAX_DEPTH and all([_fits(held, depth + 1) for held in value.values()])  # noqa: C419
    if kind is list:
        within = depth <= _MAX_DEPTH and len(value) <= wire.MAX_ARGS
        return within and all([_fits(item, depth + 1) for item in value])  # noqa: C419 - a generator costs twice
    return True


def _fitted(value: Any, text: int, items: int, depth: int = 0) -> Any:  # noqa: ANN401 - any value of an event
    """A copy with strings and lists cut to the bounds."""
    if isinstance(value, str):
        return _cut_text(value, text)
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [_fitted(item, text, items, depth + 1) for item in value[:items]]
    if not isinstance(value, Mapping):
        return value
    new = {}
    for name, held in value.items():
        most = wire.MAX_ANCESTRY if name == "ancestry" else items
        new[_cut_text(name, text)] = _fitted(held, text, most, depth + 1)
    if "argv_cut" in new and new.get("argv") != value.get("argv"):
        new["argv_cut"] = True
    return new


def _cut_text(value: str, length: int) -> str:
    shown = value[:length].encode("utf-8", "backslashreplace").decode("utf-8")
    return shown[:length]
