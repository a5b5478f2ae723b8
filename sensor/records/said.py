# SPDX-License-Identifier: Apache-2.0
"""One saying of a runtime, alike for all of them, and the record that goes to the controller."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from time import CLOCK_BOOTTIME, clock_gettime_ns, time_ns
from typing import Final

from sensor.wire import MAX_TEXT, Event, Record, RecordSource, Request

MAX_DETAIL: Final = 256
"""Characters of one detail."""
_MAX_ID: Final = 160

UP: Final = "source_up"
AWAY: Final = "source_away"
GAP: Final = "source_gap"
OF_THE_SENSOR: Final = frozenset({UP, AWAY, GAP})
"""What the sensor says of a source, rather than the source of a container."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a daemon, or an API server's log, said once. `time` is by its own clock, ns; `read` by the host's."""

    source: RecordSource
    place: str
    action: str
    time: int
    owner: int = 0
    container: str | None = None
    exec_id: str | None = None
    pid: int | None = None
    command: str | None = None
    code: int | None = None
    detail: dict[str, str] = field(default_factory=dict)
    read: int = field(default_factory=time_ns)
    name: str | None = None
    """What names it at its source, where that does."""
    request: Request | None = None

    @property
    def key(self) -> str:
        """Names this saying, whichever time it is read: of what the source has no id of its own for."""
        if self.name is not None:
            return self.name
        parts = (self.source, self.action, self.container, self.exec_id, self.pid, self.time)
        names = [*map(str, parts), *(f"{name}={value}" for name, value in sorted(self.detail.items()))]
        if self.action in OF_THE_SENSOR:
            names.append(self.place)
        return blake2b("\0".join(names).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def record(said: Said, event_id: str, redact: Callable[[list[str]], tuple[list[str], bool]]) -> Record:
    """The event of the wire. `redact` hides secrets in words."""
    command = said.command
    if command is not None:
        # Bounded before it is searched for secrets, for that costs; and after, for a secret at the cut is no word.
        command = " ".join(redact(command[: 2 * MAX_TEXT].split(" "))[0])[:MAX_TEXT]
    made = Record(
        id=event_id,
        time=said.time,
        mono=clock_gettime_ns(CLOCK_BOOTTIME),
        kind="record",
        source=said.source,
        place=said.place,
        key=said.key,
        action=said.action,
        owner=said.owner,
        container_id=said.container and said.container[:_MAX_ID],
        exec_id=said.exec_id and said.exec_id[:_MAX_ID],
        pid=said.pid,
        command=command,
        code=said.code,
        read=said.read,
        detail={name: value[:MAX_DETAIL] for name, value in said.detail.items()},
    )
    if said.request is not None:
        made["request"] = said.request
    return made


def marks(events: Iterable[Event]) -> dict[str, int]:
    """How far each place was read, by its own clock: the latest of what it said."""
    found: dict[str, int] = {}
    for event in events:
        if event["kind"] == "record" and event["action"] not in OF_THE_SENSOR:
            found[event["place"]] = max(found.get(event["place"], 0), event["time"])
    return found
