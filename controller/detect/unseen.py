# SPDX-License-Identifier: Apache-2.0
"""Why an exec that a runtime told of was not seen by the sensor beside it. Pure: evidence in, a likely cause out.

The first cause that the evidence supports is told, the most certain first. What no evidence explains is
"unexplained", and the gravest: there we are blind and do not know why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Cause = Literal[
    "failed", "sandboxed", "sensor_down", "hooks", "lost", "no_sensor", "not_started", "unexplained"
]

NEAR_NS: Final = 60_000_000_000
"""How near in time a loss is to what may have been lost by it: losses are told with up to a minute of delay."""
FAILED: Final = frozenset({126, 127})
"""Codes with which a runtime ends an exec whose program could not be executed, or is not there."""
_SANDBOXES: Final = (
    (re.compile(r"runsc|gvisor", re.IGNORECASE), "gVisor"),
    (re.compile(r"kata", re.IGNORECASE), "Kata Containers"),
    (re.compile(r"firecracker|sysbox|krun|nabla", re.IGNORECASE), "a sandbox"),
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known around a record that has no entry. Times are ns by the host's clock."""

    time: int
    gone: bool = False
    """The container was ended just then: what was begun in it may never have come to its program."""
    blind: str | None = None
    """Why no sensor can have seen it: none has ever told of its container, or of its pod."""
    runtime: str | None = None
    """The low-level runtime of the container, as its configuration names it."""
    codes: frozenset[int] = frozenset()
    """With which the exec ended, as far as that was told."""
    pids: frozenset[int] = frozenset()
    """Processes that were told to have been started for it."""
    notes: Sequence[Mapping[str, Any]] = ()
    """The sensor's notes of its own life."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """Events that were lost within NEAR_NS, by cause."""


def explain(evidence: Evidence) -> tuple[Cause, str]:
    """The likely cause, and why: the end of a sentence that begins with "no entry was seen: "."""
    notes = sorted(evidence.notes, key=lambda note: note["time"])
    told = ", ".join(f"{cause} {count}" for cause, count in sorted(evidence.lost.items()))
    supported: tuple[tuple[Cause, str | None], ...] = (
        ("failed", _failed(evidence.codes)),
        ("failed", "the container ended while it began" if evidence.gone else None),
        ("sandboxed", _sandboxed(evidence.runtime)),
        ("sensor_down", _asleep(notes, evidence.time)),
        ("hooks", _hooks(notes, evidence.time)),
        ("lost", f"events of this host were lost within a minute of it ({told})" if told else None),
        ("no_sensor", evidence.blind),
        ("not_started", _not_started(evidence)),
    )
    for cause, reason in supported:
        if reason is not None:
            return cause, reason
    return "unexplained", "the sensor ran, lost nothing, and saw nothing of it"


def _failed(codes: frozenset[int]) -> str | None:
    failed = codes & FAILED
    return f"the exec failed with code {min(failed)} before a program was executed" if failed else None


def _sandboxed(runtime: str | None) -> str | None:
    name = sandbox(runtime)
    if name is None:
        return None
    return f"the container runs in {name} ({runtime}): its processes are not this kernel's"


def _not_started(evidence: Evidence) -> str | None:
    if evidence.codes or evidence.pids:
        return None
    return "neither a process nor an end of it was told: it may have failed before it began"


def sandbox(runtime: str | None) -> str | None:
    """What a low-level runtime is called that keeps a container's processes out of the host's kernel."""
    if runtime is None:
        return None
    return next((name for pattern, name in _SANDBOXES if pattern.search(runtime)), None)


def _asleep(notes: Sequence[Mapping[str, Any]], time: int) -> str | None:
    """Whether nobody watched at `time`, by the notes in order."""
    for note in notes:
        since = note.get("since")
        if note["action"] == "gap" and since is not None and since <= time <= note["time"]:
            return None if note.get("recorded") else "no sensor ran at that time"
    before = [note["action"] for note in notes if note["time"] <= time]
    if before and before[-1] == "stopped":
        return "the sensor had been stopped"
    if not before and any(note["action"] == "started" for note in notes):
        return "the sensor began to watch only after it"
    return None


def _hooks(notes: Sequence[Mapping[str, Any]], time: int) -> str | None:
    """Whether a part of the sensor was known not to work, or was changed just then."""
    state = None
    for note in notes:
        if note["time"] > time + NEAR_NS:
            break
        if note["action"] in {"blind", "mended", "started"}:
            state = note if note["action"] == "blind" else None
        elif note["action"] == "hooks" and abs(note["time"] - time) <= NEAR_NS:
            return "the sensor changed the hooks that it watches by at that time"
    return (
        None if state is None else f"a part of the sensor did not work: {state['reason'] or 'not said which'}"
    )
