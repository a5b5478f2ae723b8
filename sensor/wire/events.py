# SPDX-License-Identifier: Apache-2.0
"""The events: what the sensor tells, one type a kind."""

from __future__ import annotations

from typing import Any, Final, Literal, NotRequired, TypedDict

from sensor.wire.files import HostFile
from sensor.wire.parts import (
    Ancestor,
    Container,
    Login,
    Means,
    Missing,
    Process,
    Reach,
    RecordSource,
    Request,
    Runtime,
    Settings,
    Verdict,
)
from sensor.wire.people import Caller, Client


class _Event(TypedDict):
    id: str
    """"<host>/<boot>/<sequence>": unique, and its sequence orders the events of one boot."""
    time: int
    mono: int


class Entry(_Event):
    """A process from outside crossed into namespaces of a running container and executed a command there."""

    kind: Literal["entry"]
    session: str
    """Id of the session that it opens: "<host>/..." like every id of this host."""
    means: Means
    """With `missing` "pending" it is what the kernel's state says so far: an update settles whether it is a
    probe, once the sensor knows what the container declares."""
    namespaces: list[str]
    verdict: Verdict
    ns_container: str | None
    """Container id that the joined namespaces point at."""
    cgroup_container: str | None
    """Container id that the cgroup of the process points at."""
    container: Container
    process: Process
    entered_by: Ancestor
    """The process outside that crossed, as it was before: the nsenter, the runtime."""
    ancestry: list[Ancestor]
    """From the parent of `process` up to init."""
    login: Login | None
    exec_id: str | None
    """The runtime's own id of the exec, from its arguments: joins this entry to the runtime's record."""
    witnessed: bool
    """False: it was found inside, how and when it came in was not seen; `time` is when it was found."""
    missing: dict[str, Missing]
    reach: NotRequired[Reach | None]
    """With means inject: what was done to `process`. None, or not there, with all others."""
    caller: NotRequired[Caller | None]
    """The process outside that the visit belongs to; None: a daemon came in, see `clients`."""
    clients: NotRequired[list[Client]]
    """Who was connected to the daemon that came in, of whom one has asked for it."""
    clients_unseen: NotRequired[str | None]
    """Why not all who were connected can be known, in words."""


class Attempt(_Event):
    """A join of a container's namespaces by a runtime or a tool that ended without executing anything."""

    kind: Literal["attempt"]
    session: str
    means: Means
    namespaces: list[str]
    container: Container
    entered_by: Ancestor
    ancestry: list[Ancestor]
    login: Login | None
    exec_id: str | None
    missing: dict[str, Missing]
    caller: NotRequired[Caller | None]
    """The process outside that the visit belongs to; None: a daemon came in, see `clients`."""
    clients: NotRequired[list[Client]]
    """Who was connected to the daemon that came in, of whom one has asked for it."""
    clients_unseen: NotRequired[str | None]
    """Why not all who were connected can be known, in words."""


class Escape(_Event):
    """A container's process came to the host: into its namespaces, or to its files by root, executable or cwd."""

    kind: Literal["escape"]
    session: str
    """The session that it came out of; its own id where it was the container's own process, and opened one."""
    means: Means
    """"ns-join", or "proc-root" when no namespace was joined."""
    namespaces: list[str]
    """Those of the host that it joined."""
    container: Container
    """The container that it left."""
    process: Process | None
    """What it executed there; None if it joined and ended without executing anything."""
    entered_by: Ancestor
    """The process that crossed, as it was before."""
    ancestry: list[Ancestor]
    login: Login | None
    witnessed: bool
    """As of an entry."""
    missing: dict[str, Missing]
    caller: NotRequired[Caller | None]
    """The process outside that the visit belongs to; None: a daemon came in, see `clients`."""


class Command(_Event):
    """A process of a session executed a program."""

    kind: Literal["command"]
    session: str
    process: Process
    parent: int
    """Pid of the nearest process above it in the session that executed something: bridges plain forks."""
    missing: dict[str, Missing]


class Exit(_Event):
    """A process of a session that had executed something ended."""

    kind: Literal["exit"]
    session: str
    pid: int
    start: int
    code: int | None
    """Exit status, None when a signal ended it."""
    signal: int | None


class SessionEnd(_Event):
    """The last process of a session ended. `code` and `signal` are those of the process that entered."""

    kind: Literal["session_end"]
    session: str
    code: int | None
    signal: int | None
    duration: int
    """Nanoseconds from the entry to the end of its last process."""
    commands: int


class Start(_Event):
    """A container was started: its first process executed in namespaces of its own."""

    kind: Literal["start"]
    container: Container
    process: Process
    missing: dict[str, Missing]
    witnessed: NotRequired[bool]
    """False: it was found a moment after it had begun, and `process` is as it was found."""


class Stop(_Event):
    """The first process of a container ended."""

    kind: Literal["stop"]
    container: Container
    code: int | None
    signal: int | None


class Update(_Event):
    """Completes an earlier event: `set` maps dotted paths to values, `missing` replaces the event's own."""

    kind: Literal["update"]
    target: str
    set: dict[str, Any]
    missing: dict[str, Missing]


class Loss(_Event):
    """Something was lost between kernel and spool, since the last event of this kind for the cause."""

    kind: Literal["loss"]
    cause: str
    count: int
    container_id: NotRequired[str]
    """Of which container, where the loss is of one."""


class Activity(_Event):
    """What a container does of itself, the first time or counted since: no process that entered did it.

    Each event of the same `key` says it anew, so that the latest stands for all before it.
    """

    kind: Literal["activity"]
    what: Literal["exec", "connect"]
    container_id: str
    key: str
    """Names what was done, alike on every run of the sensor."""
    first: int
    """When it was seen first, like `time`. `count` begins there."""
    count: int
    uid: int
    comm: str
    exe: str | None
    filename: str | None
    argv: list[str] | None
    """Of the first. The others may differ in digits, or beyond their beginning."""
    argv_cut: bool
    argv_redacted: bool
    address: str | None
    port: int | None
    protocol: str | None
    """"tcp", "udp" (the first datagram that goes there), "udplite"; None of an exec."""
    parent_exe: NotRequired[str | None]
    """The program of the process that it is a child of, as `exe`."""
    digest: NotRequired[str | None]
    """SHA-256 of the file that ran, 64 hex digits. Not known at first: it is told with a later count."""


class Contact(_Event):
    """A process connected to the unix socket of a runtime's daemon: what it asked for there is not seen."""

    kind: Literal["contact"]
    session: str | None
    """The session that it belongs to, if it does to one."""
    runtime: Runtime
    place: str
    """The socket as the host calls it, by whatever path the process took to it."""
    daemon: Ancestor
    """Who listens: the daemon, or systemd for one that is started at the first connect."""
    daemon_container: str | None
    """The container that the daemon runs in; None: on the host."""
    container: Container | None
    """The container that the process is in; None: in none that is known."""
    process: Process
    ancestry: list[Ancestor]
    login: Login | None
    count: int
    """Connects that it stands for: those of the same process to the same socket since it was told last."""
    missing: dict[str, Missing]


class Connection(_Event):
    """What a process of a session does on the network; or a program that began on one end of a connection."""

    kind: Literal["connection"]
    session: str | None
    """The session that it belongs to. None: a container's own process, of which "streams" alone is told."""
    what: Literal["connect", "send", "listen", "streams"]
    """"send": the first datagram of its session that goes there. "streams": the program's standard input and output
    are this connection."""
    container: Container | None
    """The container that the process is in; None: in none that is known."""
    process: Ancestor
    protocol: str
    """"tcp", "udp", "udplite", or the number of another."""
    address: str
    """Of the other side; of who listens, its own."""
    port: int
    missing: dict[str, Missing]


class Configuration(_Event):
    """How a container is configured: at its start or when the sensor finds it, and anew when that changed."""

    kind: Literal["configuration"]
    container: Container
    settings: Settings
    because: Literal["start", "found", "changed"]
    """"found": it ran before the sensor did."""
    missing: dict[str, Missing]
    told: NotRequired[list[str]]
    """What its runtime said was done to it before: "create", "update", "network_connect"; oldest first."""
    caller: NotRequired[Caller | None]
    """The process outside that did it; None: a daemon did, see `clients`, or it is not known."""
    clients: NotRequired[list[Client]]
    """Who was connected to the daemon that did it, of whom one has asked for it."""
    clients_unseen: NotRequired[str | None]
    """Why not all who were connected can be known, in words."""


class Record(_Event):
    """What a runtime says happened. `time` is by the runtime's clock, `mono` when the sensor read it.

    The same saying may be read twice, after a gap: it has the same `key` then.
    """

    kind: Literal["record"]
    source: RecordSource
    place: str
    """The socket of the daemon that said it; of an audit the file that it was read from, or "webhook"."""
    key: str
    """Names it among all that this host's sources say: a digest of what names it at its source."""
    action: str
    """In one vocabulary for all sources: "exec_create", "exec_start", "exec_die", "start", "die", "attach", ...

    What the sensor itself says of the source: "source_up", "source_away", "source_gap".
    """
    owner: int
    """The uid that the daemon runs as: one of a user may only speak about that user's containers."""
    container_id: str | None
    exec_id: str | None
    pid: int | None
    """The host's pid of what was started, where the source says it."""
    command: str | None
    """As the source has it: the words with blanks between them, secrets hidden."""
    code: int | None
    read: int
    """When the sensor read it, like `time` but by the host's clock."""
    detail: dict[str, str]
    """What else it says, a few words: {"oldName": "/web"}."""
    request: NotRequired[Request]
    """Of a Kubernetes API server's audit: what it was asked, and by whom."""


class AgentNote(_Event):
    """The sensor's own life: what began, ended or changed in how it watches."""

    kind: Literal["agent"]
    action: Literal["started", "stopped", "hooks", "gap", "signal", "blind", "mended"]
    """"gap": no sensor ran for a while; "signal": the sensor was sent one that can end it; "blind": a part of its
    own does not work as it did, and "mended": does again."""
    version: str
    loader: str | None
    hooks: dict[str, str]
    """Purpose to attached hook: {"setns": "tracepoint syscalls:sys_exit_setns", ...}."""
    reason: str | None
    since: NotRequired[int]
    """Of a gap: when the sensor before was last known to run, like `time`."""
    recorded: NotRequired[bool]
    """Of a gap: what happened meanwhile was recorded in the kernel, and is told."""
    signal: NotRequired[int]
    sent_by: NotRequired[Ancestor | None]
    """Who sent the signal; None: the kernel, on its own account."""
    ancestry: NotRequired[list[Ancestor]]
    """From the parent of `sent_by` up to init."""
    login: NotRequired[Login | None]
    """The login that `sent_by` descends from."""


Event = (
    Entry
    | Attempt
    | Escape
    | Command
    | Exit
    | SessionEnd
    | Start
    | Stop
    | Update
    | Loss
    | Activity
    | Contact
    | Connection
    | Configuration
    | HostFile
    | Record
    | AgentNote
)

EVENT_TYPES: Final[dict[str, type]] = {
    "entry": Entry,
    "attempt": Attempt,
    "escape": Escape,
    "command": Command,
    "exit": Exit,
    "session_end": SessionEnd,
    "start": Start,
    "stop": Stop,
    "update": Update,
    "loss": Loss,
    "activity": Activity,
    "contact": Contact,
    "connection": Connection,
    "configuration": Configuration,
    "file": HostFile,
    "record": Record,
    "agent": AgentNote,
}
"""What to validate an event against, by its `kind`. A kind that is not here is refused, and counted."""
