# SPDX-License-Identifier: Apache-2.0
"""The OCI bundle: the folder with config.json from which a low-level runtime made the container.

It is found without asking any daemon. The working directory of containerd's shim is the bundle of the first
container that it made, and the bundles of its other containers lie beside it; conmon has its bundle in its
arguments. What config.json may hold is from the OCI runtime specification; the annotations are those of
containerd's CRI plugin (`io.kubernetes.cri.*`) and of CRI-O (`io.kubernetes.cri-o.*`). Docker writes none:
its bundle has no name, no image and no label, only its API has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sensor.enrich import configuration, facts, procfs
from sensor.enrich.facts import Facts
from sensor.enrich.supervisor import ID, Supervisor
from sensor.wire import Settings

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_SIBLINGS: Final = 256
"""Bundles beside a shim's own that are looked at for one init."""

_ROOTS: Final = (
    "run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}",
    "run/containerd/io.containerd.runtime.v2.task/default/{id}",
    "run/containerd/io.containerd.runtime.v2.task/moby/{id}",
    "run/containers/storage/overlay-containers/{id}/userdata",
    "var/lib/containers/storage/overlay-containers/{id}/userdata",
)
_CRI: Final = "io.kubernetes.cri."
_CRIO: Final = "io.kubernetes.cri-o."
_RIGHTS_OF_ALL: Final = frozenset({"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE"})
"""Any set that a person would choose one by one lacks some of these; "all" does not."""


def of_init(init_pid: int, shim_pid: int, proc: Path = procfs.PROC) -> str | None:
    """The container whose init `init_pid` is, out of those of one shim.

    containerd's shim (runtime v2) writes a file init.pid into every bundle. Needed where the cgroup has no id
    and the shim serves a whole pod.
    """
    own = proc / str(shim_pid) / "cwd"
    try:
        with os.scandir(own / "..") as entries:
            names = [entry.name for entry in islice(entries, MAX_SIBLINGS)]
    except OSError:
        return None
    for name in names:
        if ID.fullmatch(name) and _content(own / ".." / name / "init.pid", 32).strip() == b"%d" % init_pid:
            return name
    return None


def read(container_id: str, supervisor: Supervisor | None, proc: Path = procfs.PROC) -> Facts | None:
    """What the container's bundle says, None where no bundle is found that can be read."""
    if not ID.fullmatch(container_id):
        return None
    for folder in _folders(container_id, supervisor, proc):
        config = _json(folder / "config.json")
        if isinstance(config, dict):
            found = describe(config)
            if supervisor is not None and supervisor.name:
                found = found.over(Facts(name=facts.text(supervisor.name)))
            # Of podman: <graph root>/overlay-containers/<id>/userdata.
            return found.over(stored(_json(folder.parent.parent / "containers.json"), container_id))
    return None


def describe(config: dict[str, Any]) -> Facts:
    """What one config.json says. Types are checked: a container's maker can put anything into annotations."""
    process, annotations = facts.section(config, "process"), facts.section(config, "annotations")
    # containerd keeps labels in its own database; only CRI-O copies them.
    labels = _parsed(annotations.get(_CRIO + "Labels"))
    return Facts(
        name=_first(annotations, _CRI + "container-name", _CRIO + "ContainerName", "nerdctl/name"),
        image=_first(annotations, _CRI + "image-name", _CRIO + "ImageName", _CRIO + "Image"),
        labels=facts.labels(labels) if isinstance(labels, dict) else None,
        pod=facts.pod(
            _first(annotations, _CRI + "sandbox-name", "io.kubernetes.pod.name"),
            _first(annotations, _CRI + "sandbox-namespace", _CRIO + "Namespace"),
            _first(annotations, _CRI + "sandbox-uid", "io.kubernetes.pod.uid"),
        ),
        user=_user(facts.section(process, "user")),
        folder=cwd if isinstance(cwd := process.get("cwd"), str) and cwd.startswith("/") else None,
        privileged=(privileged := _privileged(config, annotations)),
        settings=Settings(**{**configuration.of_bundle(config), "privileged": privileged}),
    )


def stored(containers: object, container_id: str) -> Facts:
    """What podman's storage index (containers.json) says: the name, and the image's name in its metadata."""
    for entry in containers if isinstance(containers, list) else []:
        if isinstance(entry, dict) and entry.get("id") == container_id:
            names = entry.get("names")
            metadata = _parsed(entry.get("metadata"))
            return Facts(
                name=facts.text(names[0]) if isinstance(names, list) and names else None,
                image=facts.text(metadata.get("image-name")) if isinstance(metadata, dict) else None,
            )
    return Facts()


def _folders(container_id: str, supervisor: Supervisor | None, proc: Path) -> Iterator[Path]:
    if supervisor is not None:
        own = proc / str(supervisor.pid)
        if supervisor.bundle is not None:
            # As the supervisor sees it: a runtime may live in a mount namespace of its own.
            yield own / "root" / supervisor.bundle.lstrip("/")
        yield own / "cwd" / ".." / container_id
    for pattern in _ROOTS:
        yield proc / "self" / "root" / pattern.format(id=container_id)


def _user(user: dict[str, Any]) -> str | None:
    uid, gid = user.get("uid"), user.get("gid")
    return f"{uid}:{gid}" if isinstance(uid, int) and isinstance(gid, int) else None


def _privileged(config: dict[str, Any], annotations: dict[str, Any]) -> bool | None:
    """Whether it was started as privileged, None where the bundle leaves it open.

    CRI-O says so. Every other runtime leaves off the masked paths for a privileged container, so with them it
    is none; without them it still takes all capabilities, all devices and no seccomp filter to be one.
    """
    said = annotations.get(_CRIO + "PrivilegedRuntime")
    if said in ("true", "false"):  # a hostile bundle may hold what no set can be asked for
        return bool(said == "true")
    linux = facts.section(config, "linux")
    if linux.get("maskedPaths") or linux.get("readonlyPaths"):
        return False
    bounding = facts.section(facts.section(config, "process"), "capabilities").get("bounding")
    devices = facts.section(linux, "resources").get("devices")
    everything = {"allow": True, "access": "rwm"}
    certain = (
        isinstance(bounding, list)
        and {item for item in bounding if isinstance(item, str)} >= _RIGHTS_OF_ALL
        and isinstance(devices, list)
        and everything in devices
        and not linux.get("seccomp")
    )
    return True if certain else None


def _first(annotations: dict[str, Any], *keys: str) -> str | None:
    return next((value for key in keys if (value := facts.text(annotations.get(key)))), None)


def _json(path: Path) -> object:
    return _parsed(_content(path, MAX_BYTES))


def _parsed(data: object) -> object:
    if not isinstance(data, str | bytes) or not data:
        return None
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value


def _content(path: Path, limit: int) -> bytes:
    """The file's bytes; none of one that is longer than `limit`, is no plain file, or cannot be read."""
    try:
        # A fifo must not hold the reader up, and no link may lead it elsewhere.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            data = file.read(limit + 1)
    except OSError:
        return b""
    return data if len(data) <= limit else b""
