# SPDX-License-Identifier: Apache-2.0
"""What the read API returns of hosts and containers; `views` tells how times and unknown values stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from sensor import wire


class ContainerView(TypedDict):
    """A container as far as sensors have seen it."""

    host: str
    host_id: str
    id: str
    name: str | None
    image: str | None
    runtime: str
    labels: dict[str, str]
    pod: wire.Pod | None
    user: str | None
    caps: str | None
    privileged: bool | None
    init_pid: int | None
    first_seen: str
    first_seen_ns: int
    last_seen: str
    last_seen_ns: int
    started: str | None
    started_ns: int | None
    stopped: str | None
    stopped_ns: int | None
    sessions: int
    """Visits to it, probes not counted."""
    probes: int
    """Visits to it by means "probe"."""
    activities: int
    """Kinds of what it did of itself that are kept."""
    activities_left_out: int
    """Kinds beyond what is kept of one container; a kind that was left out and came again counts again."""
    losses: dict[str, int]
    """What the sensor reported as lost of this container, by cause. A list leaves it empty."""


class ActivityView(TypedDict):
    """One kind of what a container does of itself. `argv` and the rest are those of its first."""

    key: str
    what: Literal["exec", "connect"]
    first: str
    first_ns: int
    last: str
    last_ns: int
    """When it was counted last: up to a minute after it happened."""
    count: int
    uid: int
    comm: str
    exe: str | None
    filename: str | None
    argv: list[str] | None
    argv_cut: bool
    argv_redacted: bool
    address: str | None
    port: int | None
    protocol: str | None
    parent_exe: str | None
    """The program of the process that it was a child of."""
    digest: str | None
    """SHA-256 of the program's file, where the sensor could read it."""


class ContainerLoss(TypedDict):
    """How much of one container was lost. `name` None: it is not known."""

    container: str
    name: str | None
    count: int


class NoteView(TypedDict):
    """What a sensor noted of its own life, with the sentence that a person reads."""

    id: str
    time: str
    time_ns: int
    action: str
    known: bool
    """False: the sensor is newer than this controller, which cannot say what it means."""
    version: str
    loader: str | None
    hooks: dict[str, str]
    reason: str | None
    sentence: str


class HostView(TypedDict):
    """A host and its sensor. `heartbeat` is the latest wire.Heartbeat, None before the first."""

    id: str
    name: str
    machine: str | None
    kernel: str
    os: str
    arch: str
    sensor: str
    enrolled: str
    enrolled_ns: int
    revoked: str | None
    revoked_ns: int | None
    replaced_by: str | None
    """Id of the host that the same machine was enrolled as again: that is why it is revoked."""
    boot: str | None
    last_seen: str | None
    last_seen_ns: int | None
    last_event: str | None
    last_event_ns: int | None
    skew_ns: int | None
    """The host's clock minus the controller's, when it last spoke; transport time included."""
    heartbeat: wire.Heartbeat | None
    losses: dict[str, int]
    """What the sensor reported as lost, by cause."""
    losses_by_container: list[ContainerLoss]
    """Of these what is known to be of one container, those that lost most first. A list leaves it empty."""
    losses_of_other_containers: int
    """Of containers beyond those."""
    refused: dict[str, int]
    """What the controller refused of this host, by cause."""
    open_alerts: int
    sources_amiss: list[str]
    """What somebody should know of how its runtimes' records are heard: gaps, lateness, clocks."""
    notes: list[NoteView]
    """The latest of what its sensor noted, the latest first. A list leaves it empty."""
