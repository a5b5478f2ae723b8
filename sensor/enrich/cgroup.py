# SPDX-License-Identifier: Apache-2.0
"""Which container a cgroup belongs to, read from its path alone. What is not certain is None, never a guess.

Shapes of paths: observed on real runtimes where a cgroupfs driver runs them, and taken from the runtimes' own
sources for the systemd driver (`docker-<id>.scope`, `kubepods-burstable-pod<uid>.slice`, ...). `ctr` puts a
container of any name into /<namespace>/<name>, which nothing tells from a plain cgroup: those are found by
their shim (`sensor.enrich.supervisor`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sensor.wire import Runtime


@dataclass(frozen=True, slots=True)
class CgroupOwner:
    """The container that a cgroup path names."""

    container: str
    runtime: Runtime
    """A hint: "unknown" for a bare id below a parent that an operator chose (`--cgroup-parent`)."""
    pod_uid: str | None = None
    path: str = ""
    """The container's own cgroup: what was given may lie below it."""
    within: CgroupOwner | None = None
    """The container around this one (docker in docker). Only the outermost name is the host's own word:
    whoever may write cgroups inside a container can make one there with any name."""

    @property
    def outermost(self) -> CgroupOwner:
        """The container that the host itself made; this one where nothing is nested."""
        return self if self.within is None else self.within.outermost


_ID: Final = r"(?P<id>[0-9a-f]{64})"

_SHAPES: Final[tuple[tuple[str, Runtime], ...]] = (
    (rf"docker-{_ID}\.scope", "docker"),
    (rf"cri-containerd-{_ID}\.scope", "cri"),
    (rf"crio-{_ID}(\.scope)?", "cri-o"),
    # libpod-conmon-<id> and crio-conmon-<id> hold the monitor, which is on the host's side.
    (rf"libpod-(payload-)?{_ID}(\.scope)?", "podman"),
    (rf"nerdctl-{_ID}\.scope", "containerd"),
    # A runtime with the cgroupfs driver that was given systemd's form makes one folder of it.
    (rf"[^/:]*\.slice:docker:{_ID}", "docker"),
    (rf"[^/:]*\.slice:cri-containerd:{_ID}", "cri"),
    (rf"[^/:]*\.slice:crio:{_ID}", "cri-o"),
    (rf"[^/:]*\.slice:libpod:{_ID}", "podman"),
    (r"lxc\.payload\.(?P<id>[A-Za-z0-9][A-Za-z0-9_.:-]{0,127})", "lxc"),
)
_LEAVES: Final = tuple((re.compile(pattern), runtime) for pattern, runtime in _SHAPES)
_BARE: Final = re.compile(r"[0-9a-f]{64}")
_PARENTS: Final[dict[str, Runtime]] = {
    "docker": "docker",
    "moby": "docker",
    "ecs": "docker",
    "k8s.io": "cri",
    "default": "containerd",
}
_POD: Final = re.compile(
    r"(?:[a-z-]*kubepods[a-z-]*-)?pod(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice.*)?"
)
_NSPAWN: Final = re.compile(
    r"(?:systemd-nspawn@(?P<unit>[A-Za-z0-9_.\\-]{1,128})\.service|machine-(?P<scope>[A-Za-z0-9_.\\-]{1,128})\.scope)"
)
_ESCAPED: Final = re.compile(r"\\x([0-9a-f]{2})")


def owner(path: str) -> CgroupOwner | None:
    """The innermost container that `path` names, None for a cgroup of the host.

    `path` may be whole, or only the last two names of one ("docker/<id>").
    """
    found: CgroupOwner | None = None
    pod_uid: str | None = None
    names = path.removesuffix(" (deleted)").strip("/").split("/")
    for depth, name in enumerate(names):
        pod = _POD.fullmatch(name)
        if pod is not None:
            pod_uid = pod["uid"].replace("_", "-")
        named = _leaf(names, depth, pod_uid)
        if named is not None:
            here = "/" + "/".join(names[: depth + 1])
            found = CgroupOwner(named[0], named[1], pod_uid, here, within=found)
            pod_uid = None
    return found


def owner_of(lines: list[str]) -> CgroupOwner | None:
    """The container that the lines of /proc/PID/cgroup name ("4:memory:/docker/<id>").

    Hierarchies can differ. The unified one ("0::") is believed first, then the first line that names a
    container.
    """
    paths = [(line.startswith("0::"), line.split(":", 2)[-1]) for line in lines if line.count(":") >= 2]
    for _, path in sorted(paths, key=lambda item: not item[0]):
        found = owner(path)
        if found is not None:
            return found
    return None


def _leaf(names: list[str], depth: int, pod_uid: str | None) -> tuple[str, Runtime] | None:
    """Container id and runtime that the name at `depth` stands for, if it stands for one."""
    name = names[depth]
    for pattern, runtime in _LEAVES:
        match = pattern.fullmatch(name)
        if match is not None:
            return match["id"], runtime
    above = names[depth - 1] if depth else ""
    if _BARE.fullmatch(name):
        return name, _bare_runtime(names, depth, pod_uid)
    if above == "lxc" and depth == 1 and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", name):
        return name, "lxc"  # LXC before 4.0
    if name == "payload":
        # Beside it lies "supervisor", nspawn's own. A machine-*.scope without a payload may be a VM's.
        match = _NSPAWN.fullmatch(above)
        machine = match and (match["unit"] or match["scope"])
        return (_unescape(machine), "nspawn") if machine else None
    return None


def _bare_runtime(names: list[str], depth: int, pod_uid: str | None) -> Runtime:
    if pod_uid is not None:
        return "cri"
    if depth >= 2 and names[depth - 2] in {"ecs"}:
        return "docker"
    return _PARENTS.get(names[depth - 1], "unknown") if depth else "unknown"


def _unescape(name: str) -> str:
    r"""Undo systemd's escapes in unit names: "web\x2dfront" is web-front."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)
