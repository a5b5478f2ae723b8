# SPDX-License-Identifier: Apache-2.0
"""The event stream of Docker, and of podman which serves the same path.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemEvents . A line is a JSON
document. Docker keeps the last 256 events in memory (moby:daemon/events/events.go) and forgets them when it is
restarted; podman keeps its own in a file or the journal. No event names the user or the client.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from sensor.enrich import daemon
from sensor.enrich.daemon import TIMEOUT_S, DeadlineSocket, UnexpectedError, away
from sensor.enrich.facts import section
from sensor.records.said import Said
from sensor.wire import RecordSource

KEPT_BY_DOCKER: Final = 256
"""As many events of the past as dockerd remembers: when that many come at once, there may have been more."""
MAX_LINE: Final = 256 * 1024
_FILTERS: Final = quote(json.dumps({"type": ["container", "network"]}))

_SAME: Final = (
    *("attach", "detach", "exec_create", "exec_start", "exec_detach", "exec_die"),
    *("create", "start", "restart", "die", "oom", "kill", "stop", "destroy", "pause", "unpause"),
    *("update", "rename", "commit", "export", "resize", "top"),
)
_ACTIONS: Final[Mapping[str, str]] = {
    **{name: name for name in _SAME},
    "archive-path": "copy_out",
    "extract-to-dir": "copy_in",
    "exec": "exec_start",  # podman's words (libpod/events/config.go)
    "exec_died": "exec_die",
    "died": "die",
    "remove": "destroy",
}
_OF_NETWORK: Final[Mapping[str, str]] = {"connect": "network_connect", "disconnect": "network_disconnect"}
_DETAILS: Final = ("comment", "imageID", "oldName", "signal")
"""Attributes that say more of what happened; the others are labels, which anybody may choose."""
_CALLED: Final = ("image", "name")
"""What the container is called. The daemon sets them over labels that are called so (moby:daemon/events.go)."""
_ALONE: Final = frozenset({"attach", "copy_in", "copy_out"})
"""Actions of which nothing else is told that would say what the container is called."""


class EventStream:
    """An open stream. For one thread; `close` is for any."""

    def __init__(self, path: str, since: int | None) -> None:
        """From `since` on, ns by the daemon's clock, or from now on. Raises AwayError, UnexpectedError."""
        self.path = path
        self.skipped = 0
        """Events that were too long, or no JSON, since this was last set to 0."""
        connection = http.client.HTTPConnection("localhost")
        try:
            self._socket: DeadlineSocket = daemon.connect(path, time.monotonic() + TIMEOUT_S)
        except OSError as error:
            raise away(path, error) from error
        connection.sock = self._socket
        self.owner = daemon.peer_uid(self._socket)
        try:
            begin = f"&since={since // 10**9}.{since % 10**9:09d}" if since is not None else ""
            connection.request("GET", f"/events?filters={_FILTERS}{begin}", headers={"User-Agent": "nsentry"})
            self._response = connection.getresponse()
        except OSError as error:
            self.close()
            raise away(path, error) from error
        except http.client.HTTPException as error:
            self.close()
            raise UnexpectedError(f"{path} does not speak HTTP: {error!r}") from error
        if self._response.status != 200:
            self.close()
            raise UnexpectedError(f"{path} answered {self._response.status} when asked for events")
        libpod = "libpod" in (self._response.getheader("Server") or "").lower()
        self.source: RecordSource = "podman" if libpod else "docker"
        self._within = False

    def read(self, wait_s: float) -> Said | None:
        """The next event that is a record, None at the end. Raises AwayError: none in time; UnexpectedError."""
        self._socket.deadline = time.monotonic() + wait_s
        while True:
            try:
                line = self._response.readline(MAX_LINE + 1)
            except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
                raise away(self.path, error if isinstance(error, OSError) else OSError(str(error))) from error
            except http.client.HTTPException as error:
                raise UnexpectedError(f"{self.path} ended its events early: {error!r}") from error
            if not line:
                return None
            said = self._said(line) if self._whole(line) else None
            if said is not None:
                return said

    def _whole(self, line: bytes) -> bool:
        """Whether it is a line, and not a part of one that is too long: all parts of that are passed by."""
        whole, self._within = not self._within, not line.endswith(b"\n")
        self.skipped += whole and self._within
        return whole and not self._within

    def _said(self, line: bytes) -> Said | None:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            self.skipped += 1  # asked for again it would come again: what is behind it is worth more
            return None
        return parse(document, self.source, self.path, self.owner)

    def close(self) -> None:
        """End the stream, and a `read` that waits."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def parse(document: object, source: RecordSource, place: str, owner: int) -> Said | None:
    """What an event says; None for one that is no record: of an image, a health status, or not well made."""
    if not isinstance(document, dict):
        return None
    actor = section(document, "Actor")
    attributes = section(actor, "Attributes")
    action, _, command = _text(document, "Action").partition(": ")
    kind, when = document.get("Type"), document.get("timeNano")
    if not isinstance(when, int) or isinstance(when, bool) or not 0 < when < 2**63:
        return None
    if kind == "network":
        known, container = _OF_NETWORK.get(action), _text(attributes, "container")
        detail = {"network": _text(attributes, "name")}
    else:
        known, container = _ACTIONS.get(action), _text(actor, "ID")
        wanted = (*_DETAILS, *(_CALLED if known in _ALONE else ()))
        detail = {name: _text(attributes, name) for name in wanted if _text(attributes, name)}
    if known is None or kind not in {"container", "network"}:
        return None
    code = _text(attributes, "exitCode") or _text(attributes, "containerExitCode")
    ends = known in {"die", "exec_die"} and code.isdecimal()
    return Said(
        source=source,
        place=place,
        action=known,
        time=when,
        owner=owner,
        container=container or None,
        exec_id=_text(attributes, "execID") or None,
        # "exec_create: /bin/sh -c id"; a bare command ends in a blank
        command=command.removesuffix(" ") if command else None,
        code=int(code[:9]) if ends else None,
        detail=detail,
    )


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
