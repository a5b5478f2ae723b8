# SPDX-License-Identifier: Apache-2.0
"""The contract between sensor and controller: what an event is, and how a batch of them is packed.

Nothing but the standard library and msgpack is imported here, because both sides import this module.
The sensor builds plain dicts of these types; the controller validates bytes against the same types.

Conventions
    time    nanoseconds since the Unix epoch, UTC, by the host's clock.
    mono    nanoseconds since the host booted (CLOCK_BOOTTIME): the order of events on one host.
    caps    a capability mask as /proc/PID/status prints it: 16 lower-case hex digits.
    None    not known. `missing` then says of the dotted path whether it is "pending" (an `update` event
            may still complete it) or "unknown" (it was not learned in time and never will be).
    text    everything that a container can choose is bounded here and may hold any character, control
            characters included; bytes that are not UTF-8 stand as backslash escapes. Show it escaped.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict

import msgpack

VERSION: Final = 1
"""Version of this contract. A controller answers 426 to one that it does not read."""

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
MAX_BATCH_EVENTS: Final = 1000
MAX_TEXT: Final = 4096
"""Longest string of an event, in characters; longer ones are cut by the sensor, refused by the controller."""
MAX_ARGS: Final = 512
"""Most arguments of one command line; `argv_cut` says when there were more."""
MAX_ANCESTRY: Final = 32

TOKEN_PREFIX: Final = "nsentry1."  # noqa: S105 - it tells a token by its beginning
MAX_TOKEN_TEXT: Final = 64 * 1024
"""Longest enrolment token that is read, in characters: a secret and a certificate chain fit many times."""

NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
"""The eight kinds of namespace, in the kernel's own names (see namespaces(7))."""

Missing = Literal["pending", "unknown"]
Verdict = Literal["both", "ns-only", "cgroup-only", "shared", "unknown"]
"""Which of the two keys point at the container; "shared": the joined namespaces belong to several."""
Means = Literal[
    "docker-exec",
    "cri-exec",
    "podman-exec",
    "ctr-exec",
    "runc-exec",
    "ns-join",
    "proc-root",
    "cgroup-join",
    "inject",
    "probe",
    "unknown",
]
Runtime = Literal["docker", "containerd", "cri", "podman", "cri-o", "lxc", "nspawn", "unknown"]


class Pod(TypedDict):
    """The Kubernetes pod that a container belongs to."""

    name: str
    namespace: str
    uid: str | None


class Container(TypedDict):
    """A container as the host knows it. `id` None: the entered namespaces belong to none that is known."""

    id: str | None
    name: str | None
    image: str | None
    runtime: Runtime
    labels: dict[str, str]
    pod: Pod | None
    init_pid: int | None
    """Its first process, as a pid of the host."""
    user: str | None
    """The user that the container is configured to run as, as configured ("", "app", "1000:1000")."""
    caps: str | None
    """The bounding set of its first process: what nothing inside may exceed."""
    privileged: bool | None


class Process(TypedDict):
    """One process at its latest exec. Pids are the host's."""

    pid: int
    ppid: int
    start: int
    """Start of the process, mono: with the pid it names the process, for pids come back."""
    comm: str
    exe: str | None
    """The file that runs, as the process would name it: "/bin/busybox", "memfd:x (deleted)"."""
    filename: str | None
    """The path that was given to execve, before links: "/bin/sh"; unlike argv[0] it cannot be made up."""
    argv: list[str] | None
    argv_cut: bool
    """The command line was longer than what is kept of it."""
    argv_redacted: bool
    cwd: str | None
    uid: int
    gid: int
    user: str | None
    """The name of `uid` on the host; None inside a user namespace of its own or where there is none."""
    caps: str
    tty: str | None
    """"pts/0", "tty1", or None without a terminal. Of the container's devpts where a runtime made one."""


class Ancestor(TypedDict):
    """One step up from a process, as far as it is known."""

    pid: int
    start: int
    comm: str
    exe: str | None
    argv: list[str] | None
    uid: int
    side: Literal["host", "container", "unknown"]
    """On which side of the door it stands: by its mount namespace."""


class Login(TypedDict):
    """The login that a process descends from (loginuid(5), audit session), inherited over su and sudo."""

    uid: int
    user: str | None
    session: int | None


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
    protocol: Literal["tcp"] | None


class AgentNote(_Event):
    """The sensor's own life: what began, ended or changed in how it watches."""

    kind: Literal["agent"]
    action: Literal["started", "stopped", "hooks"]
    version: str
    loader: str | None
    hooks: dict[str, str]
    """Purpose to attached hook: {"setns": "tracepoint syscalls:sys_exit_setns", ...}."""
    reason: str | None


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
    "agent": AgentNote,
}
"""What to validate an event against, by its `kind`. A kind that is not here is refused, and counted."""


class Host(TypedDict):
    """The host that a batch comes from. `id` is the one that the controller gave at enrolment."""

    id: str
    boot: str
    name: str
    kernel: str
    os: str
    arch: str


class Batch(TypedDict):
    """What one POST carries. Events are in the order of their sequence."""

    v: int
    host: Host
    sensor: str
    """Version of the sensor."""
    sent: int
    """Host's clock when it was sent, ns: against the controller's own it shows the skew."""
    events: list[Event]


class Heartbeat(TypedDict):
    """The sensor's state, sent on its own and never spooled: only the latest matters."""

    v: int
    host: Host
    sensor: str
    sent: int
    started: int
    loader: str
    loader_reason: str
    """Why this loader: what `auto` tried before it, or that it was asked for."""
    hooks: dict[str, str]
    counters: dict[str, int]
    """All counters since the sensor started, dotted names: "ring.entry.full", "spool.dropped", ..."""
    gauges: dict[str, float]
    """Present values: "spool.bytes", "spool.events", "spool.age_s", "memory.rss_bytes", ..."""
    degraded: list[str]
    """What does not work as it should now, one sentence each; empty when all is well."""


class Enrolment(TypedDict):
    """What a new sensor sends with its short-lived token."""

    v: int
    token: str
    name: str
    machine: str | None
    """Hash of the machine's id: tells a re-enrolled host from a new one."""
    kernel: str
    os: str
    arch: str
    sensor: str


class Enrolled(TypedDict):
    """The controller's answer to an `Enrolment`: the sensor's own identity from now on."""

    v: int
    host: str
    credential: str


class Ack(TypedDict):
    """The controller's answer to a batch, given only after it was stored."""

    v: int
    stored: int
    duplicate: int
    refused: NotRequired[list[str]]


class Incompatible(ValueError):  # noqa: N818 - says what it is
    """The bytes are of a version of the contract that this side does not read."""

    def __init__(self, version: object) -> None:
        super().__init__(f"wire version {version!r} is not supported here; this side speaks {VERSION}")
        self.version = version


class Malformed(ValueError):  # noqa: N818 - says what it is
    """The bytes are no message of this contract: cut short, too large, or not msgpack at all."""


def pack(message: Any) -> bytes:  # noqa: ANN401 - any message of this module
    """Bytes of a batch, a heartbeat or any other message of this module.

    Raises TypeError for values that the contract does not know, ValueError for text that is not UTF-8.
    """
    return bytes(msgpack.packb(message, use_bin_type=True))


def pack_batch(host: Host, sensor: str, sent: int, events: Sequence[bytes]) -> bytes:
    """Bytes of a Batch whose events are packed already, each by `pack`: nothing is unpacked to be sent."""
    packer = msgpack.Packer(use_bin_type=True)
    parts = [packer.pack_map_header(5)]
    for name, value in (("v", VERSION), ("host", host), ("sensor", sensor), ("sent", sent)):
        parts += packer.pack(name), packer.pack(value)
    parts += packer.pack("events"), packer.pack_array_header(len(events)), *events
    return b"".join(parts)


def unpack(data: bytes) -> dict[str, Any]:
    """The map that `data` holds, of a supported version but with its fields not yet validated.

    Raises Malformed or Incompatible. Sizes are bounded by the length of `data`: nothing is allocated
    on the word of a length field alone.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise Malformed(f"message of {len(data)} bytes, at most {MAX_BATCH_BYTES} are read")
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, use_list=True)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise Malformed(f"not a msgpack message: {error}") from error
    if not isinstance(value, dict):
        raise Malformed(f"a map was expected, not {type(value).__name__}")
    if value.get("v") != VERSION:
        raise Incompatible(value.get("v"))
    return value


def encode_token(secret: str, ca_pem: str) -> str:
    """The enrolment token as a person carries it to a host: the secret, and the CA to trust at once.

    One line of URL-safe characters. Inverse of `decode_token`.
    """
    plain = json.dumps({"t": secret, "ca": ca_pem}, separators=(",", ":")).encode()
    return TOKEN_PREFIX + base64.urlsafe_b64encode(plain).rstrip(b"=").decode("ascii")


def decode_token(text: str) -> tuple[str, str]:
    """Secret and CA certificate (PEM) of an enrolment token; white space around it is no part of it.

    Raises Malformed with a sentence that never holds the secret.
    """
    text = text.strip()
    if not text.startswith(TOKEN_PREFIX):
        raise Malformed(f"not an enrolment token: it begins with {TOKEN_PREFIX!r}")
    if len(text) > MAX_TOKEN_TEXT:
        raise Malformed(f"enrolment token of {len(text)} characters, at most {MAX_TOKEN_TEXT} are read")
    body = text.removeprefix(TOKEN_PREFIX)
    try:
        plain = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        value = json.loads(plain)
    except (binascii.Error, ValueError, RecursionError):
        raise Malformed("the enrolment token is cut short or changed: copy it whole") from None
    match value:
        case {"t": str(secret), "ca": str(ca_pem)} if secret and ca_pem:
            return secret, ca_pem
    raise Malformed("the enrolment token lacks its secret or its CA certificate")


def printable(text: str) -> str:
    """`text` with every character that could steer a terminal or hide in a page made visible as an escape.

    Covers C0 and C1 controls, DEL, bidirectional controls, zero-width characters and lone surrogates.
    """
    return "".join(c if c.isprintable() and c not in _INVISIBLE else _escape(c) for c in text)


_INVISIBLE: Final = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u2800\u3164")


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
