# SPDX-License-Identifier: Apache-2.0
"""Who asked a daemon to start which exec, as bpf/request.h keeps it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from sensor.probe.contacts import LISTENING, Listeners

_REQUEST: Final = struct.Struct("=Q2I")
_ID_LEN: Final = 64


class Request(NamedTuple):
    """The process whose connection it was, and when the daemon read it, in nanoseconds since boot."""

    pid: int
    time: int


class Requests:
    """Reads the map, by libbpf whichever loader made it."""

    def __init__(self, library: ctypes.CDLL, descriptor: Callable[[str], int], listeners: Listeners) -> None:
        self._lib = library
        self._map = descriptor("requests")
        self._listeners = listeners

    def of(self, exec_id: str) -> Request | None:
        """Who asked for this exec; None where that was not seen, or so many asked since that it is forgotten."""
        named = exec_id.encode(errors="replace")
        value = ctypes.create_string_buffer(_REQUEST.size)
        for listening in self._listeners.daemons if len(named) == _ID_LEN else ():
            key = LISTENING.pack(*listening) + named
            if self._lib.bpf_map_lookup_elem(self._map, key, value) == 0:
                time, pid, _ = _REQUEST.unpack(value.raw)
                return Request(pid, time)
        return None
