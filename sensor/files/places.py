# SPDX-License-Identifier: Apache-2.0
"""Where runtimes are configured on a host, and what each place is called by."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sensor.wire import FileOf

MAX_FILES: Final = 256
"""Files that are watched of all places together, and looked at in one folder."""

_UNITS: Final = ("/etc/systemd/system", "/usr/lib/systemd/system")


def _units(*names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}{end}" for folder in _UNITS for name in names for end in ("", ".d"))


_PLACES: Final[tuple[tuple[FileOf, tuple[str, ...]], ...]] = (
    ("docker", ("/etc/docker/daemon.json", "/etc/default/docker", "/etc/sysconfig/docker")),
    ("docker", _units("docker.service", "docker.socket")),
    ("containerd", ("/etc/containerd/config.toml", "/etc/containerd/conf.d", *_units("containerd.service"))),
    (
        "podman",
        tuple(
            f"/etc/containers/{name}"
            for name in (
                *("containers.conf", "containers.conf.d", "storage.conf", "registries.conf"),
                *("registries.conf.d", "policy.json", "systemd"),
            )
        ),
    ),
    (
        "kubelet",
        ("/var/lib/kubelet/config.yaml", "/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet"),
    ),
    ("kubelet", ("/etc/kubernetes/manifests", *_units("kubelet.service"))),
    ("cri-o", ("/etc/crio/crio.conf", "/etc/crio/crio.conf.d", *_units("crio.service"))),
    ("cni", ("/etc/cni/net.d",)),
    ("other", ("/run/nsentry-emulation/files",)),  # where the emulation of this writes, and no runtime reads
)
USUAL: Final = tuple(Path(path) for _, paths in _PLACES for path in paths)
"""Files, and folders whose files are meant. Most are not there on most hosts."""
_WORDS: Final[tuple[tuple[str, FileOf], ...]] = (
    ("docker", "docker"),
    ("containerd", "containerd"),
    ("containers", "podman"),
    ("podman", "podman"),
    ("kube", "kubelet"),
    ("crio", "cri-o"),
    ("cni", "cni"),
)


def runtime_of(path: str) -> FileOf:
    """Whose configuration a file is: of the table, else by the words in its path."""
    for runtime, paths in _PLACES:
        if any(path == each or path.startswith(f"{each}/") for each in paths):
            return runtime
    return next((runtime for word, runtime in _WORDS if word in path), "other")


def files(places: Iterable[Path]) -> Iterator[str]:
    """The regular files there are at these places now, in order; links are followed as the runtimes do."""
    left = MAX_FILES
    for place in places:
        for path in _at(place):
            if left:
                left -= 1
                yield path


def folders(places: Iterable[Path]) -> Iterator[str]:
    """The folders in which a file of these places comes to be, that are there now."""
    seen = dict.fromkeys(str(place if place.is_dir() else place.parent) for place in places)
    return (each for each in seen if os.path.isdir(each))  # noqa: PTH112 - text in, text out


def _at(place: Path) -> list[str]:
    try:
        mode = place.stat().st_mode
        if stat.S_ISREG(mode):
            return [str(place)]
        if not stat.S_ISDIR(mode):
            return []
        names = sorted(os.listdir(place))[:MAX_FILES]  # noqa: PTH208 - names are all that is needed
    except OSError:
        return []
    return [str(place / name) for name in names if not name.startswith(".") and (place / name).is_file()]
