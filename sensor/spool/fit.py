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

_LARGEST_INTEGER: Final = 2**64 - 1
_SMALLEST_INTEGER: Final = -(2**63)
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
    fitted = _fitted(event, wire.MAX_TEXT, wire.MAX_ARGS)
    packed = wire.pack(fitted)
    if len(packed) > MAX_EVENT_BYTES:
        fitted = _fitted(event, _SHORT_TEXT, _FEW)
        packed = wire.pack(fitted)
    if len(packed) > MAX_EVENT_BYTES:
        raise ValueError(f"{len(packed)} bytes, at most {MAX_EVENT_BYTES} can be sent")
    return packed, fitted is not event


def _fitted(value: Any, text: int, items: int, depth: int = 0) -> Any:  # noqa: ANN401 - any value of an event
    """The very same object where it fits, so that the usual event is not copied."""
    if isinstance(value, str):
        return value if len(value) <= text and _encodable(value) else _cut_text(value, text)
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, Mapping):
        return _fitted_map(value, text, items, depth)
    if isinstance(value, list):
        kept = value if len(value) <= items else value[:items]
        new = [_fitted(item, text, items, depth + 1) for item in kept]
        return value if len(new) == len(value) and all(map(_same, new, value)) else new
    if isinstance(value, int) and not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
        raise ValueError("an integer of more than 64 bits")
    return value


def _fitted_map(value: Mapping[str, Any], text: int, items: int, depth: int) -> Mapping[str, Any]:
    new = {
        _fitted(name, text, items): _fitted(
            held, text, wire.MAX_ANCESTRY if name == "ancestry" else items, depth + 1
        )
        for name, held in value.items()
    }
    if all(new.get(name) is held for name, held in value.items()):
        return value
    if new.get("argv") is not value.get("argv") and "argv_cut" in new:
        new["argv_cut"] = True
    return new


def _same(one: object, other: object) -> bool:
    return one is other


def _encodable(value: str) -> bool:
    """UTF-8 has no lone surrogates; text without any non-ASCII needs no look."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _cut_text(value: str, length: int) -> str:
    shown = value[:length].encode("utf-8", "backslashreplace").decode("utf-8")
    return shown[:length]
