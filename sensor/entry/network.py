# SPDX-License-Identifier: Apache-2.0
"""What those who came in do on the network, as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from sensor.enrich.known import Known
from sensor.entry.lineage import Lineage
from sensor.probe.flows import Flow, What
from sensor.wire import Connection, Container, Missing

_WORDS: Final[dict[What, Literal["connect", "send", "listen", "streams"]]] = {
    What.CONNECT: "connect",
    What.SEND: "send",
    What.LISTEN: "listen",
    What.STREAMS: "streams",
}


class Network:
    """Makes the events, on the probe's thread."""

    def __init__(
        self,
        at_mount: Callable[[int], Known | None],
        lineage: Lineage,
        next_id: Callable[[], str],
        wall: Callable[[int], int],
    ) -> None:
        self._at_mount = at_mount
        self._lineage = lineage
        self._next_id = next_id
        self._wall = wall

    def event(self, seen: Flow, session: str | None) -> Connection | None:
        """Of a process in `session`, or of a container's own; None for what is neither."""
        known = self._at_mount(seen.mnt)
        if known is None and session is None:
            return None
        container: Container | None = None
        missing: dict[str, Missing] = {}
        if known is not None:
            container, lacking = known.description
            missing = dict(lacking)
        head = seen.head
        return Connection(
            id=self._next_id(),
            time=self._wall(head.time),
            mono=head.time,
            kind="connection",
            session=session,
            what=_WORDS[seen.what],
            container=container,
            process=self._lineage.ancestor(head.pid, head.start, seen.comm, head.uid, seen.mnt),
            protocol=seen.protocol,
            address=seen.address,
            port=seen.port,
            missing=missing,
        )
