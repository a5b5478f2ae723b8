# SPDX-License-Identifier: Apache-2.0
"""The event stream of containerd: tasks and execs with their pids, of Kubernetes' CRI, of `ctr` and below Docker.

containerd.services.events.v1.Events/Subscribe (github.com/containerd/containerd, api/services/events/v1 and
api/events/task.proto). It keeps nothing of the past: what was said while nobody listened is lost, and told as a
gap. CRI-O has no such service, and refuses.
"""

from __future__ import annotations

import time
from typing import Final

from sensor.enrich import protobuf
from sensor.enrich.daemon import UnexpectedError
from sensor.enrich.grpc import Service
from sensor.enrich.protobuf import Fields
from sensor.records.said import Said

SUBSCRIBE: Final = "/containerd.services.events.v1.Events/Subscribe"
_TOPICS: Final = 'topic~="^/tasks/"'

_ACTIONS: Final = {
    "/tasks/create": "create",
    "/tasks/start": "start",
    "/tasks/exec-added": "exec_create",
    "/tasks/exec-started": "exec_start",
    "/tasks/paused": "pause",
    "/tasks/resumed": "unpause",
    "/tasks/oom": "oom",
    "/tasks/checkpointed": "checkpoint",
}


class EventStream:
    """An open stream. For one thread; `close` is for any."""

    source: Final = "containerd"

    def __init__(self, path: str) -> None:
        """From now on. Raises AwayError."""
        self.path = path
        self.skipped = 0
        """Always: it keeps nothing, so that one that cannot be read is behind it when it is asked anew."""
        service = Service(path)
        self._stream = service.open(SUBSCRIBE, protobuf.pack({1: [_TOPICS]}))
        self.owner = service.owner or 0

    def read(self, wait_s: float) -> Said | None:
        """The next event that is a record, None at the end. Raises AwayError: none in time; UnexpectedError."""
        until = time.monotonic() + wait_s
        while True:
            message = self._stream.read(max(0.001, until - time.monotonic()))
            if message is None:
                return None
            try:
                said = parse(message, self.path, self.owner)
            except ValueError as error:
                raise UnexpectedError(f"{self.path} sent an event that cannot be read: {error}") from error
            if said is not None:
                return said

    def close(self) -> None:
        """End the stream, and a `read` that waits."""
        self._stream.close()


def parse(message: bytes, place: str, owner: int) -> Said | None:
    """What an Envelope says; None where it is no record. Raises ValueError."""
    envelope = protobuf.unpack(message)
    topic, namespace = protobuf.text(envelope, 3), protobuf.text(envelope, 2)
    stamp = next(iter(protobuf.messages(envelope, 1)), {})
    when = _number(stamp, 1) * 10**9 + _number(stamp, 2)
    wrapped = next(iter(protobuf.messages(envelope, 4)), {})
    event = next(iter(protobuf.messages(wrapped, 2)), {})
    container, action = protobuf.text(event, 1), _ACTIONS.get(topic)
    exec_id: str | None = None
    pid: int | None = None
    code: int | None = None
    if topic in {"/tasks/exec-added", "/tasks/exec-started"}:
        exec_id, pid = protobuf.text(event, 2), _number(event, 3) or None
    elif topic == "/tasks/start":
        pid = _number(event, 2) or None
    elif topic == "/tasks/exit":
        # TaskExit has the container's id twice where its first process ended.
        name = protobuf.text(event, 2)
        exec_id = name if name != container else None
        action, pid, code = "exec_die" if exec_id else "die", _number(event, 3) or None, _number(event, 4)
    if action is None or not container or not 0 < when < 2**63:
        return None
    return Said(
        source="containerd",
        place=place,
        action=action,
        time=when,
        owner=owner,
        container=container,
        exec_id=exec_id or None,
        pid=pid if pid is None or pid < 2**31 else None,
        code=None if code is None else min(code, 2**31 - 1),
        detail={"namespace": namespace},
    )


def _number(fields: Fields, number: int) -> int:
    values = fields.get(number)
    return values[-1] if values and isinstance(values[-1], int) else 0
