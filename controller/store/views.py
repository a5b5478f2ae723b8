# SPDX-License-Identifier: Apache-2.0
"""The shapes that the read API returns: one dict is one line of `--json` and the `.json` twin of one page.

Every time stands twice: an RFC 3339 text in UTC with microseconds ("time") and nanoseconds since the Unix
epoch ("time_ns"). `host` is the name that people know, `host_id` the key. None means not known; `missing`
says of an entry's paths whether they may still come. Everything here is plain JSON.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

if TYPE_CHECKING:
    from controller.store.connections import ConnectionView
    from sensor import wire

AlertState = Literal[
    "new", "acknowledged", "investigating", "true_positive", "benign_true_positive", "false_positive"
]
Confidence = Literal["exact", "strong", "weak", "none"]
OPEN_STATES: tuple[AlertState, ...] = ("new", "acknowledged", "investigating")
CLOSED_STATES: tuple[AlertState, ...] = ("true_positive", "benign_true_positive", "false_positive")

MANY_PROBES = 1000
"""Probes that a list leaves out are counted up to here: "1000 or more" says enough."""

SEVERITIES: dict[int, str] = {1: "low", 2: "medium", 3: "high", 4: "critical"}


class ContainerRef(TypedDict):
    """A container as a list shows it; `id` None when the entered namespaces belong to none that is known."""

    id: str | None
    name: str | None
    image: str | None


class RecordRef(TypedDict):
    """What is known of a visit's record."""

    status: Literal["recorded", "awaited", "unrecorded", "unchecked"]
    confidence: Confidence
    reason: str
    """Why it is said to be so, in words."""
    source: str | None
    exec_id: str | None
    """The runtime's own id of the exec: `records list --exec-id` has all that was said of it."""


class ApprovalRef(TypedDict):
    """What of an approval window stands beside a visit."""

    id: int
    standing: Literal["approved", "outlived"]
    """"outlived": the visit went on when the window had ended, and is not approved."""
    sentence: str
    change: str


class WithheldView(TypedDict):
    """One finding that is not alerted, and what withheld it."""

    session: str
    detection: str
    severity: str
    severity_level: int
    event: str
    time: str
    time_ns: int
    reason: str
    fields: dict[str, Any]
    because: Literal["exception", "approval"]
    name: str
    """Of the exception, or the approval's number."""


class RepeatRef(TypedDict):
    """A resolved alert that a later one is like."""

    alert: str
    state: AlertState
    reason: str | None
    changed: str
    changed_ns: int


class ApiRef(TypedDict):
    """What is known of the request to a Kubernetes API server that a visit to a pod came by."""

    status: Literal["recorded", "awaited", "unrecorded", "unchecked"]
    confidence: Confidence
    reason: str
    sure: bool
    """Of "unrecorded": nothing speaks against it."""
    cluster: str | None
    """The name of the cluster, or host, whose audit told of it."""
    action: str | None
    command: str | None
    audit_id: str | None
    request: wire.Request | None
    """Who asked, and how; None unless recorded."""


class EntryView(TypedDict):
    """An entry, an attempt or an escape, with the updates that arrived so far merged in."""

    id: str
    kind: Literal["entry", "attempt", "escape"]
    time: str
    time_ns: int
    mono: int
    host: str
    host_id: str
    session: str
    means: str
    namespaces: list[str]
    verdict: str | None
    """None for an attempt and an escape."""
    ns_container: str | None
    cgroup_container: str | None
    container: wire.Container
    process: wire.Process | None
    """What was executed; None for an attempt, and an escape, that executed nothing."""
    entered_by: wire.Ancestor
    ancestry: list[wire.Ancestor]
    login: wire.Login | None
    exec_id: str | None
    witnessed: bool
    """False: it was found inside; how and when it came in was not seen."""
    principal: wire.Principal | None
    """Who it was, by the best evidence; of kind "unknown" with its reason where nobody is named. None of a probe."""
    record: RecordRef | None
    """What is known of its record; None where none is wanted, of a probe and an escape."""
    api: ApiRef | None
    """What is known of the request to its API server; None where none is wanted: of a container of no pod."""
    confidence: Confidence | None
    """How sure it is that the record is of this entry; "none" without one."""
    missing: dict[str, wire.Missing]
    sentence: str
    """Who entered what, by which means, and ran what: the sentence that a person reads."""


class SessionRow(TypedDict):
    """A session as a list shows it. `means`, `entry` and `process` are None when its entry was lost."""

    id: str
    host: str
    host_id: str
    began: str
    began_ns: int
    ended: str | None
    ended_ns: int | None
    duration_ns: int | None
    code: int | None
    signal: int | None
    commands: int
    """Commands received so far, the entry's own not counted."""
    means: str | None
    entry: str | None
    """Id of the entry or attempt that opened it."""
    container: ContainerRef
    process: wire.Process | None
    """What the entry executed."""
    principal: wire.Principal | None
    """As of its entry."""
    sentence: str
    alert: str | None
    """Id of its alert."""


class EventView(TypedDict, total=False):
    """An event as it was received, with later updates merged in; the other keys are those of its wire type.

    `time` is text here and `time_ns` the number; `received` and `received_ns` are by the controller's clock.
    """

    id: str
    kind: str
    time: str
    time_ns: int
    mono: int
    received: str
    received_ns: int


class Execution(TypedDict):
    """A program that the session executed: the entry's own first, then its commands in order."""

    event: str
    time: str
    time_ns: int
    mono: int
    process: wire.Process
    parent: int | None
    """Pid of the process of the session above it; None for the entry."""
    ended: str | None
    ended_ns: int | None
    code: int | None
    signal: int | None
    replaced_by: str | None
    """Event of the program that the same process executed next: this one has no end of its own then."""


class SessionView(SessionRow):
    """A session with all that happened in it."""

    opened_by: EntryView | None
    executions: list[Execution]
    connections: list[ConnectionView]
    """What it did on the network, and to daemons' sockets."""
    events: list[EventView]
    """In the host's order (mono); updates are merged into their targets and not listed."""
    events_left_out: int
    """Events beyond the limit that was asked for."""
    approval: ApprovalRef | None
    """The approval window that it was within, or outlived; None without one."""
    withheld: list[WithheldView]
    """What was found in it and not alerted, by which exception or approval."""


class AlertRow(TypedDict):
    """An alert as a list shows it: one visit."""

    id: str
    session: str
    host: str
    host_id: str
    severity: str
    severity_level: int
    state: AlertState
    title: str
    sentence: str
    means: str
    container: ContainerRef
    user: str | None
    principal: str | None
    """The name of whom the visit was by; None where nobody is named."""
    first_seen: str
    first_seen_ns: int
    last_seen: str
    last_seen_ns: int
    raised: str
    raised_ns: int
    changed: str
    changed_ns: int
    events: int
    assignee: str | None
    close_reason: str | None
    repeats_alert: str | None
    """The resolved alert that this one repeats; None where there is none alike."""
    emulation: str | None
    """The run of `emulate` that made it happen: such an alert pages nobody. None: nobody staged it."""
    detections: list[str]
    """Names of the detections that fired, in the order of their first finding."""


class FindingView(TypedDict):
    """One finding of an alert. `fields` maps dotted paths of the event to the values that matched."""

    id: int
    detection: str
    severity: str
    severity_level: int
    event: str
    time: str
    time_ns: int
    reason: str
    fields: dict[str, Any]


class HistoryView(TypedDict):
    """One change of an alert, by a person or by nsentry itself (`actor` "nsentry")."""

    id: int
    at: str
    at_ns: int
    actor: str
    action: str
    """raised | escalated | reopened | regressed | state | assign | comment | entry_completed | withdrawn |
    taken_back"""
    detail: dict[str, Any]


class AlertView(AlertRow):
    """An alert with its evidence and everything that was done about it."""

    findings: list[FindingView]
    history: list[HistoryView]
    visit: SessionView | None
    withheld: list[WithheldView]
    """What else was found and not alerted, by which exception or approval."""
    repeats: RepeatRef | None
    """The resolved alert that this one is like: the same was found in the same place by the same way."""


class ChangeView(TypedDict):
    """One step of the change feed: what happened, and the alert as it stands now."""

    change: HistoryView
    alert: AlertRow


class Facet(TypedDict):
    """One value of a facet and how many alerts have it. `value` is what the filter takes; None: not known."""

    value: str | None
    count: int


class Stretch(TypedDict):
    """How many alerts were last seen in a stretch of time; `worst` is their highest severity."""

    start: str
    start_ns: int
    end: str
    end_ns: int
    count: int
    worst: str | None


@overload
def rfc3339(ns: int) -> str: ...
@overload
def rfc3339(ns: None) -> None: ...
def rfc3339(ns: int | None) -> str | None:
    """Nanoseconds since the epoch as "2026-11-24T04:24:01.123456Z"; None stays None.

    The integer division keeps the microseconds exact, which a float of today's epoch cannot.
    """
    if ns is None:
        return None
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"
