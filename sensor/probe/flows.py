# SPDX-License-Identifier: Apache-2.0
"""What those who came in do on the network, decoded: the twin of struct event_flow in bpf/event.h."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sensor.probe.decoding import Undecodable, read_head, text
from sensor.probe.layout import HEAD, Head, Kind

_REST: Final = struct.Struct("=2I4H16s16s")
FLOW_SIZE: Final = HEAD.size + _REST.size
_KIND: Final = struct.pack("=I", Kind.FLOW)
_INET: Final = 2
_INET6: Final = 10
_PROTOCOLS: Final = {6: "tcp", 17: "udp", 136: "udplite"}


class What(IntEnum):
    """enum flow."""

    CONNECT = 1
    LISTEN = 2
    STREAMS = 3
    SEND = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """A task connects, listens or sends, or began with a socket as its standard input and output."""

    head: Head
    what: What
    mnt: int
    protocol: str
    """"tcp", "udp", "udplite", or the number."""
    address: str
    """Of the other side; of who listens, its own."""
    port: int
    comm: str


def protocol_name(number: int) -> str:
    """How a protocol of IP is called, or its number."""
    return _PROTOCOLS.get(number, str(number))


def address_text(family: int, raw: bytes) -> str:
    """An address as people write it, of the 16 bytes that the programs send. Raises Undecodable."""
    if family == _INET:
        return str(ipaddress.IPv4Address(raw[:4]))
    if family != _INET6:
        raise Undecodable(f"an address of family {family}")
    number = ipaddress.IPv6Address(raw)
    # A socket of IPv6 speaks to IPv4 too.
    return str(number.ipv4_mapped or number)


def is_flow(data: bytes) -> bool:
    """Whether a record of the ring is one of these."""
    return data.startswith(_KIND)


def decode(data: bytes) -> Flow:
    """The flow that a record holds. Raises Undecodable."""
    if len(data) < FLOW_SIZE:
        raise Undecodable(f"FLOW of {len(data)} bytes, {FLOW_SIZE} expected")
    what, mnt, family, protocol, port, _, address, comm = _REST.unpack_from(data, HEAD.size)
    if what not in tuple(What):
        raise Undecodable(f"a flow of kind {what}")
    return Flow(
        read_head(data),
        What(what),
        mnt,
        protocol_name(protocol),
        address_text(family, address),
        port,
        text(comm.split(b"\0", 1)[0]),
    )
