# SPDX-License-Identifier: Apache-2.0
"""What those who came in do on the network, decoded: the twin of struct event_flow in bpf/event.h."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sensor.probe.layout import HEAD, Head, Kind, Undecodable, read_head, text

_REST: Final = struct.Struct("=2I4H16s16s")
FLOW_SIZE: Final = HEAD.size + _REST.size
_KIND: Final = struct.pack("=I", Kind.FLOW)
_INET: Final = 2
_INET6: Final = 10
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}


class What(IntEnum):
    """enum flow."""

    CONNECT = 1
    LISTEN = 2
    STREAMS = 3


@dataclass(frozen=True, slots=True)
class Flow:
    """A task connects or listens, or began with a socket as its standard input and output."""

    head: Head
    what: What
    mnt: int
    protocol: str
    """"tcp", "udp", or the number."""
    address: str
    """Of the other side; of who listens, its own."""
    port: int
    comm: str


def is_flow(data: bytes) -> bool:
    """Whether a record of the ring is one of these."""
    return data.startswith(_KIND)


def decode(data: bytes) -> Flow:
    """The flow that a record holds. Raises Undecodable."""
    if len(data) < FLOW_SIZE:
        raise Undecodable(f"FLOW of {len(data)} bytes, {FLOW_SIZE} expected")
    what, mnt, family, protocol, port, _, address, comm = _REST.unpack_from(data, HEAD.size)
    if what not in tuple(What) or family not in {_INET, _INET6}:
        raise Undecodable(f"a flow of kind {what} in family {family}")
    number = ipaddress.IPv4Address(address[:4]) if family == _INET else ipaddress.IPv6Address(address)
    # A socket of IPv6 speaks to IPv4 too.
    mapped = number.ipv4_mapped if isinstance(number, ipaddress.IPv6Address) else None
    return Flow(
        read_head(data),
        What(what),
        mnt,
        _PROTOCOLS.get(protocol, str(protocol)),
        str(mapped or number),
        port,
        text(comm.split(b"\0", 1)[0]),
    )
