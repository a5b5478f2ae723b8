# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a request to the types of the wire, or to a refusal that names what is wrong.

A batch is decoded in two steps, its envelope and then each event against the type of its kind, because an
event can be told apart by its kind only; msgspec skips what it was not asked for without building it.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict, TypeVar, cast

import msgspec

from controller import validity
from controller.ingest.refusal import RefusedError
from sensor import wire

T = TypeVar("T")

SUPPORTED: Final = (wire.VERSION,)
"""Versions of the wire that this controller reads."""

_MAX_MESSAGE: Final = 300


class _Versioned(msgspec.Struct):
    v: int


class _Kind(msgspec.Struct):
    kind: str


class _Envelope(TypedDict):
    v: int
    host: wire.Host
    sensor: str
    sent: int
    events: list[msgspec.Raw]


_VERSIONED: Final = msgspec.msgpack.Decoder(_Versioned)
_KIND: Final = msgspec.msgpack.Decoder(_Kind)
_ENVELOPE: Final = msgspec.msgpack.Decoder(_Envelope)
_HEARTBEAT: Final = msgspec.msgpack.Decoder(wire.Heartbeat)
_ENROLMENT: Final = msgspec.msgpack.Decoder(wire.Enrolment)
_EVENTS: Final[dict[str, msgspec.msgpack.Decoder[dict[str, Any]]]] = {
    kind: msgspec.msgpack.Decoder(type_) for kind, type_ in wire.EVENT_TYPES.items()
}


def batch(data: bytes) -> wire.Batch:
    """The batch that `data` holds, each event valid. RefusedError: "version", "size" or "malformed"."""
    _check_version(data)
    envelope = _decode(_ENVELOPE, data)
    raw = envelope["events"]
    if len(raw) > wire.MAX_BATCH_EVENTS:
        raise RefusedError("size", f"{len(raw)} events in one batch, at most {wire.MAX_BATCH_EVENTS}")
    bare = _bounded({**envelope, "events": []})
    return cast("wire.Batch", {**bare, "events": [_event(bytes(each), at) for at, each in enumerate(raw)]})


def heartbeat(data: bytes) -> wire.Heartbeat:
    """The heartbeat that `data` holds. RefusedError as for a batch."""
    _check_version(data)
    return _bounded(_decode(_HEARTBEAT, data))


def enrolment(data: bytes) -> wire.Enrolment:
    """The enrolment that `data` holds. RefusedError as for a batch."""
    _check_version(data)
    return _bounded(_decode(_ENROLMENT, data))


def _check_version(data: bytes) -> None:
    version = _decode(_VERSIONED, data).v
    if version not in SUPPORTED:
        known = ", ".join(map(str, SUPPORTED))
        raise RefusedError(
            "version",
            f"wire version {version} is not read here; this controller reads {known}: "
            f"{'update the controller' if version > max(SUPPORTED) else 'update the sensor'}",
            supported=list(SUPPORTED),
        )


def _event(data: bytes, index: int) -> dict[str, Any]:
    path = f"events[{index}]"
    try:
        event = _decode(_decoder(data, path), data, path)
        validity.check_event(event, path)
    except validity.InvalidError as error:
        raise RefusedError("malformed", str(error), index=index) from error
    except RefusedError as refused:
        refused.more["index"] = index
        raise
    return event


def _decoder(data: bytes, path: str) -> msgspec.msgpack.Decoder[dict[str, Any]]:
    kind = _decode(_KIND, data, path).kind
    if kind not in _EVENTS:
        raise RefusedError("malformed", f"{path}.kind: {wire.printable(kind[:64])!r} is not known here")
    return _EVENTS[kind]


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes, path: str = "$") -> T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        place = f"{path}{where.rstrip('`')}"
        raise RefusedError("malformed", _shown(f"{place}: {message}")) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("malformed", _shown(f"{path}: not a msgpack message: {error}")) from error


def _bounded(message: T) -> T:
    try:
        validity.check_values(message)
    except validity.InvalidError as error:
        raise RefusedError("malformed", str(error)) from error
    return message


def _shown(text: str) -> str:
    """A message may quote what was sent, so it is bounded and made printable like all text from a host."""
    return wire.printable(text[:_MAX_MESSAGE])
