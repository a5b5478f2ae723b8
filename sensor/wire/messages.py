# SPDX-License-Identifier: Apache-2.0
"""The messages that carry events and state between sensor and controller, and their packing by msgpack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import msgpack

from sensor.wire.bounds import MAX_BATCH_BYTES, VERSION
from sensor.wire.events import Event


class Host(TypedDict):
    """The host that a batch comes from. `id` is the one that the controller gave at enrolment."""

    id: str
    boot: str
    name: str
    kernel: str
    os: str
    arch: str


class Batch(TypedDict):
    """What one POST carries. Events are in the order of their sequence."""

    v: int
    host: Host
    sensor: str
    """Version of the sensor."""
    sent: int
    """Host's clock when it was sent, ns: against the controller's own it shows the skew."""
    events: list[Event]


class Heartbeat(TypedDict):
    """The sensor's state, sent on its own and never spooled: only the latest matters."""

    v: int
    host: Host
    sensor: str
    sent: int
    started: int
    loader: str
    loader_reason: str
    """Why this loader: what `auto` tried before it, or that it was asked for."""
    hooks: dict[str, str]
    pins: str
    """The folder where programs and ring are pinned, so that they outlive the sensor; or "nothing", and why."""
    counters: dict[str, int]
    """All counters since the sensor started, dotted names: "ring.entry.full", "spool.dropped", ..."""
    gauges: dict[str, float]
    """Present values: "spool.bytes", "spool.events", "spool.age_s", "memory.rss_bytes", ..."""
    degraded: list[str]
    """What does not work as it should now, one sentence each; empty when all is well."""


class Enrolment(TypedDict):
    """What a new sensor sends with its short-lived token."""

    v: int
    token: str
    name: str
    machine: str | None
    """Hash of the machine's id: tells a re-enrolled host from a new one."""
    kernel: str
    os: str
    arch: str
    sensor: str


class Enrolled(TypedDict):
    """The controller's answer to an `Enrolment`: the sensor's own identity from now on."""

    v: int
    host: str
    credential: str


class Ack(TypedDict):
    """The controller's answer to a batch, given only after it was stored."""

    v: int
    stored: int
    duplicate: int
    refused: NotRequired[list[str]]


class Incompatible(ValueError):  # noqa: N818 - says what it is
    """The bytes are of a version of the contract that this side does not read."""

    def __init__(self, version: object) -> None:
        super().__init__(f"wire version {version!r} is not supported here; this side speaks {VERSION}")
        self.version = version


class Malformed(ValueError):  # noqa: N818 - says what it is
    """The bytes are no message of this contract: cut short, too large, or not msgpack at all."""


def pack(message: Any) -> bytes:  # noqa: ANN401 - any message of this module
    """Bytes of a batch, a heartbeat or any other message of this module.

    Raises TypeError for values that the contract does not know, ValueError for text that is not UTF-8.
    """
    return bytes(msgpack.packb(message, use_bin_type=True))


def pack_batch(host: Host, sensor: str, sent: int, events: Sequence[bytes]) -> bytes:
    """Bytes of a Batch whose events are packed already, each by `pack`: nothing is unpacked to be sent."""
    packer = msgpack.Packer(use_bin_type=True)
    parts = [packer.pack_map_header(5)]
    for name, value in (("v", VERSION), ("host", host), ("sensor", sensor), ("sent", sent)):
        parts += packer.pack(name), packer.pack(value)
    parts += packer.pack("events"), packer.pack_array_header(len(events)), *events
    return b"".join(parts)


def unpack(data: bytes) -> dict[str, Any]:
    """The map that `data` holds, of a supported version but with its fields not yet validated.

    Raises Malformed or Incompatible. Sizes are bounded by the length of `data`: nothing is allocated
    on the word of a length field alone.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise Malformed(f"message of {len(data)} bytes, at most {MAX_BATCH_BYTES} are read")
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, use_list=True)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise Malformed(f"not a msgpack message: {error}") from error
    if not isinstance(value, dict):
        raise Malformed(f"a map was expected, not {type(value).__name__}")
    if value.get("v") != VERSION:
        raise Incompatible(value.get("v"))
    return value
