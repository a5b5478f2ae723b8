# SPDX-License-Identifier: Apache-2.0
"""Who sent the sensor a signal, decoded: the twin of struct event_signal in bpf/event.h."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from sensor.probe.decoding import Undecodable, read_ancestry, read_facts, read_head
from sensor.probe.layout import ANCESTRY_SIZE, FACTS, HEAD, TICK, Facts, Head, Kind, Step

_REST: Final = struct.Struct("=Q4I")
SIGNAL_TASK: Final = HEAD.size + _REST.size
SIGNAL_SIZE: Final = SIGNAL_TASK + FACTS.size + ANCESTRY_SIZE
_KIND: Final = struct.pack("=I", Kind.SIGNAL)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that can end the sensor was sent to it. The head and the rest are the sender's."""

    head: Head
    target: int
    target_start: int
    number: int
    from_kernel: bool
    """The kernel sent it on its own account; whoever ran at that moment has not."""
    task: Facts
    ancestry: tuple[Step, ...]


def is_signal(data: bytes) -> bool:
    """Whether a record of the ring is one of these."""
    return data.startswith(_KIND)


def decode(data: bytes) -> Signal:
    """The signal that a record holds. Raises Undecodable."""
    if len(data) < SIGNAL_SIZE:
        raise Undecodable(f"SIGNAL of {len(data)} bytes, {SIGNAL_SIZE} expected")
    start, target, number, from_kernel, _ = _REST.unpack_from(data, HEAD.size)
    return Signal(
        read_head(data),
        target,
        start // TICK * TICK,
        number,
        bool(from_kernel),
        read_facts(data, SIGNAL_TASK),
        read_ancestry(data, SIGNAL_TASK + FACTS.size),
    )
