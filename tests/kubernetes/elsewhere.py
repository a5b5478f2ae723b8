# SPDX-License-Identifier: Apache-2.0
"""Another machine's address on this one: connections that are passed on to the API server come from there."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

ADDRESS: Final = "127.9.9.9"
"""All of 127/8 is this host's."""


class Elsewhere:
    """Listens at `port`, and connects to `target` from ADDRESS for whoever comes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> Elsewhere:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What waits in accept is not ended by a close.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=_relay, args=(near, self._target), daemon=True).start()


def _relay(near: socket.socket, target: int) -> None:
    """Passes on, both ways, until both sides have ended; then both are closed."""
    with near, socket.create_connection(("127.0.0.1", target), source_address=(ADDRESS, 0)) as far:
        back = threading.Thread(target=_pass, args=(far, near), daemon=True)
        back.start()
        _pass(near, far)
        back.join()


def _pass(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
