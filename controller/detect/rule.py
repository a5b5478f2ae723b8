# SPDX-License-Identifier: Apache-2.0
"""What a rule is written with: the visit it looks at, the finding it returns, and a few readings of an event.

A rule is a pure function `rule(visit, event) -> Finding | None`. It is called once for every event of a visit
that has something to judge (`JUDGED`), in order, and again when an `update` completes an earlier event. A rule
about what belongs to no visit, such as how a container is configured, names those kinds in `KINDS`.

None is not an answer. What an event does not know is None; a rule may only fire on what is known, so every
reading here returns a value that makes the rule stay silent when the truth is not known: no words, no extra
capabilities, no "other user". A predicate of the form "is not in the list" must ask for None first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from controller.detect.baseline import Normal
from controller.detect.past import NO_PAST, Past
from controller.policy.knobs import Knobs
from controller.policy.principals import Principal, principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensor import wire

Event: TypeAlias = "Mapping[str, Any]"
"""A wire event with the updates that arrived so far merged in."""

JUDGED: Final = frozenset({"entry", "attempt", "escape", "command"})
"""Kinds of event that belong to a visit: what a rule sees unless its KINDS say otherwise."""
ALONE: Final = frozenset({"activity", "agent", "configuration", "connection", "contact", "file", "record"})
"""Kinds that need not belong to a visit. A rule sees them with a visit that holds nothing, unless they are part of
one ("contact" and "connection" may be), and its KINDS name them."""

ADMIN_MEANS: Final[dict[str, str]] = {
    "docker-exec": "docker exec",
    "cri-exec": "CRI exec (kubectl, crictl)",
    "podman-exec": "podman exec",
    "ctr-exec": "ctr exec",
    "runc-exec": "runc exec",
}
"""The means that are a container administration command (T1609), as a person calls them."""


class Severity(IntEnum):
    """How much a finding matters; the numbers are those of the `alerts` and `findings` tables."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The name that people see and that the command line prints: "high"."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a rule fired on an event.

    `reason` completes the sentence "because ...". `matched` are the dotted paths of the event that the rule
    looked at: the engine takes their values from the event, so that a rule cannot misquote its evidence.
    """

    severity: Severity
    reason: str
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds a visit: where it was, what operators said, and what was before it."""

    host: str = ""
    """The host's id."""
    knobs: Knobs = field(default_factory=Knobs)
    past: Past = NO_PAST
    approval: Mapping[str, Any] | None = None
    """The approval window that it is within or outlived: id, standing (approved, outlived), sentence."""
    change: Mapping[str, Any] | None = None
    """Of how something is configured, what differs from before: changes, summary, who, principal, authorised, by,
    reason, replaces. None where nothing does."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session as far as it is known: how somebody came in, and what was executed up to now.

    `entry` is the entry, the escape or the attempt that opened it; None when that event was lost. `executions` are the
    events that carry a process (entries, escapes, commands), in order, up to and including the one that
    is judged. It is bounded: of a long visit only the latest ones are kept (`visits.KEPT`).
    """

    session: str
    entry: Event | None
    executions: tuple[Event, ...] = ()
    record: Mapping[str, Any] | None = None
    """What is known of its record: status (recorded, awaited, unrecorded, unchecked), confidence, reason, source.

    None where none is wanted, of a probe, or none was looked for yet. Of a record that is judged alone: status
    "unseen" with its cause where no entry came, "running" where its container already ran, else "told".
    """
    api: Mapping[str, Any] | None = None
    """What is known of the request to the API server that a visit to a pod came by: status as of a record, confidence,
    reason, sure, cluster, action, request. None where none is wanted."""
    earlier: tuple[Event, ...] = ()
    """Of a request to an API server: what the same user was refused in the ten minutes before it."""
    principal: Mapping[str, Any] | None = None
    """Who it was (sensor.wire.Principal), of kind "unknown" with its reason where nobody is named; None of a
    probe, and while that is not decided."""
    new_in: tuple[str, ...] = ()
    """Where the principal had not been before, in words: "on host n1". Empty while a place is still learning."""
    around: Around = field(default_factory=Around)
    normal: Normal = field(default_factory=Normal)
    """What is known to be normal for the container: see controller.detect.baseline."""

    @property
    def who(self) -> Principal:
        """Who came in, in short: name, kind, address. All of it None where it is not known."""
        return principal(self.entry, self.principal, self.api)

    @property
    def knobs(self) -> Knobs:
        """What operators set: AuthorizedAdminUsers and its kin."""
        return self.around.knobs

    @property
    def past(self) -> Past:
        """Earlier visits of the fleet, see `past`."""
        return self.around.past

    @property
    def change(self) -> Mapping[str, Any] | None:
        """What differs from the configuration before, by whom, and whether it was authorised: see `Around`."""
        return self.around.change

    @property
    def means(self) -> str:
        """The way in; "unknown" when the entry was lost or could not tell."""
        return str(self.entry["means"]) if self.entry else "unknown"

    def before(self, event: Event) -> tuple[Event, ...]:
        """What was executed earlier in this visit than `event`, which is the one that is judged."""
        return tuple(each for each in self.executions if each["id"] != event["id"])


def value_at(event: Event, path: str) -> object:
    """The value at a dotted path ("container.name"); None where any part of it is missing or None."""
    value: object = event
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def mask(text: str | None) -> int | None:
    """A capability mask as a number; None when it is not known or is not a mask."""
    if text is None:
        return None
    try:
        return int(text, 16)
    except ValueError:
        return None


def capability_names(bits: int) -> tuple[str, ...]:
    """The names of the capabilities in `bits`, by number; one without a name stands as "CAP_<number>"."""
    return tuple(
        f"CAP_{_CAPABILITIES[bit]}" if bit < len(_CAPABILITIES) else f"CAP_{bit}"
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    )


def configured_as_root(container: wire.Container) -> bool | None:
    """Whether the container's configuration lets it run as root; None when its user is not known.

    Docker and OCI write the user as "", "name", "uid", "name:group" or "uid:gid"; empty means root.
    """
    user = container["user"]
    return None if user is None else user.partition(":")[0] in {"", "root", "0"}


# capability.h of Linux 6.18, in the order of their numbers; the last was added in 5.9.
_NAMES: Final = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
_CAPABILITIES: Final = tuple(_NAMES.split())
