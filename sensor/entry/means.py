# SPDX-License-Identifier: Apache-2.0
"""By which way a session came in, from the state of the process that entered and its ancestry."""

from __future__ import annotations

from typing import Final, TypedDict

from sensor.entry.crossing import Crossing
from sensor.probe.layout import How, Step
from sensor.wire import Means, Reach, Runtime, Verdict

_REACHED: Final[dict[How, Reach]] = {How.TRACE: "trace", How.WRITE: "write", How.TAKE: "take"}

_BY_RUNTIME: Final[dict[str, Means]] = {
    "docker": "docker-exec",
    "cri": "cri-exec",
    "cri-o": "cri-exec",
    "containerd": "ctr-exec",
    "podman": "podman-exec",
}
_JOINED: Final = frozenset({"lxc", "nspawn"})
"""No runtime executes in these: lxc-attach joins by itself, as nsenter does, and goes into the cgroup first."""
_SUPERVISORS: Final = ("containerd-shim", "conmon")


def supervisor_index(ancestry: tuple[Step, ...]) -> int | None:
    """Where in the ancestry the runtime's supervisor stands, which a daemon's exec descends from."""
    for index, step in enumerate(ancestry):
        if step.comm.startswith(_SUPERVISORS):
            return index
    return None


def verdict(ns_container: str | None, cgroup_container: str | None, *, shared: bool) -> Verdict:
    """Which of the two keys point at the container that was entered."""
    if ns_container and ns_container == cgroup_container:
        return "both"
    if ns_container:
        return "ns-only"
    if cgroup_container:
        return "cgroup-only"
    return "shared" if shared else "unknown"


def means(keys: Verdict, runtime: Runtime, ancestry: tuple[Step, ...]) -> Means:
    """The way in.

    A runtime puts the process into the container's cgroup before it executes; nsenter and its kin do not. A
    runtime without its supervisor above it was called by hand.
    """
    if keys in {"ns-only", "shared"}:
        return "ns-join"
    if keys != "both":
        return "unknown"
    if runtime in _JOINED:
        return "ns-join"
    if supervisor_index(ancestry) is None:
        return "runc-exec"
    return _BY_RUNTIME.get(runtime, "unknown")


class Reaching(TypedDict, total=False):
    """The field of an entry that says how somebody reached into a process; empty for all other ways in."""

    reach: Reach


def reach_of(crossing: Crossing) -> Reaching:
    """What was done to the process, where that is how the crossing began."""
    how = crossing.reached and _REACHED.get(crossing.reached.how)
    return Reaching(reach=how) if how else Reaching()
