# SPDX-License-Identifier: Apache-2.0
"""What pods declare: exec probes, and the hooks that run after a container's start and before its stop.

No runtime is told of a probe: the kubelet keeps it to itself and calls ExecSync. So it is read from manifests in
folders of the host: those of static pods, and what an operator puts there for all others (`kubectl get pods -A
-o json`, or the deployments themselves). JSON is read always, YAML where PyYAML is installed. Only files that
root or the sensor's user alone can write are believed: whoever writes here says what is no visit.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sensor.enrich.facts import Check, Pace
from sensor.wire import Pod

MAX_FILES: Final = 256
MAX_BYTES: Final = 32 * 1024 * 1024
"""Of one file: the list of a node's pods is some kilobytes for each."""
MAX_OBJECTS: Final = 16384
_TEMPLATES: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "PodTemplate"})
_SECOND: Final = 1_000_000_000
_PERIOD_S: Final = 10
"""The API's default for periodSeconds."""
_VARIABLE: Final = re.compile(r"\$\$|\$\(([^()]*)\)")
_GIVEN: Final = re.compile(r"(-[a-z0-9]{1,10})?-[a-z0-9]{1,10}")
"""What controllers put behind the name of a workload: a hash and five letters, five letters, or a number."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The checks of one container of the pods that a manifest makes."""

    namespace: str
    name: str
    uid: str | None
    """The pod's; None where the manifest is written before there is a pod."""
    exact: bool
    """It makes one pod of this name, or of this name with the node's behind it."""
    container: str
    checks: tuple[Check, ...]

    def of(self, pod: Pod, container: str, node: str) -> bool:
        """Whether it speaks of this container of this pod."""
        if self.container != container or self.namespace != pod["namespace"]:
            return False
        if self.uid is not None and pod["uid"] is not None:
            return self.uid == pod["uid"]
        if self.exact:
            return pod["name"] in {self.name, f"{self.name}-{node}"}
        rest = pod["name"].removeprefix(self.name)
        return rest != pod["name"] and _GIVEN.fullmatch(rest) is not None


class Manifests:
    """The manifests in some folders, as they are now. One thread only."""

    def __init__(self, folders: Iterable[Path], count: Callable[[str], None]) -> None:
        self._folders = tuple(folders)
        self._count = count
        self._seen: object = None
        self._declared: list[Declared] = []
        self._node = os.uname().nodename.lower()
        self.failing: dict[str, str] = {}
        """What is wrong, by file."""

    def refresh(self) -> bool:
        """Read them again if one has changed; whether one had."""
        found = sorted(self._files())
        if found == self._seen:
            return False
        self._seen = found
        self.failing.clear()
        self._declared = []
        for path, *_ in found[:MAX_FILES]:
            try:
                self._declared += declared(_document(path))
            except (OSError, ValueError, RecursionError, ImportError) as error:
                self._count("probes.manifest_unreadable")
                self.failing[str(path)] = f"{path} cannot be read as a manifest: {error}"
        return True

    def checks(self, pod: Pod | None, container: str | None) -> tuple[Check, ...]:
        """The declared checks of a pod's container; of the first manifest that speaks of it."""
        if pod is None or container is None:
            return ()
        exact = sorted(self._declared, key=lambda each: (each.uid is None, not each.exact))
        return next((each.checks for each in exact if each.of(pod, container, self._node)), ())

    def _files(self) -> Iterator[tuple[Path, int, int, int]]:
        for folder in self._folders:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
            except OSError:
                continue
            for name in names:
                if name.startswith(".") or not name.endswith((".json", ".yaml", ".yml")):
                    continue
                try:
                    found = (folder / name).stat()
                except OSError:
                    continue
                yield folder / name, found.st_ino, found.st_mtime_ns, found.st_size


def _document(path: Path) -> list[Any]:
    """The objects of a file. Raises OSError, ValueError, and ImportError where it takes PyYAML."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:  # noqa: PTH123 - a pipe must not hold the reader up
        state = os.fstat(handle)
        ours = state.st_uid in {0, os.geteuid()} and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISREG(state.st_mode) or not ours:
            raise ValueError("others than root may write it")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes")
    if path.suffix == ".json":
        return [json.loads(data)]
    import yaml  # noqa: PLC0415 - not among the sensor's packages: Debian's python3-yaml

    try:
        return list(yaml.safe_load_all(data))
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error


def declared(objects: list[Any]) -> list[Declared]:
    """What objects of the API declare: pods, workloads with a template of a pod, and lists of them. Pure."""
    found: list[Declared] = []
    todo = objects[::-1]
    seen = 0
    while todo and seen < MAX_OBJECTS:
        seen += 1
        one = todo.pop()
        if not isinstance(one, dict):
            continue
        if isinstance(one.get("items"), list):
            # The items of a PodList do not say what they are.
            kind = str(one.get("kind", "")).removesuffix("List")
            todo += [{"kind": kind, **item} for item in one["items"][::-1] if isinstance(item, dict)]
            continue
        found += _of_object(one)
    return found


def _of_object(one: dict[str, Any]) -> Iterator[Declared]:
    kind, spec = one.get("kind"), _map(one, "spec")
    if kind == "CronJob":
        spec = _map(_map(spec, "jobTemplate"), "spec")
    if kind in _TEMPLATES or kind == "CronJob":
        spec = _map(_map(spec, "template") or _map(one, "template"), "spec")
    elif kind != "Pod":
        return
    meta = _map(one, "metadata")
    name, namespace, uid = meta.get("name"), meta.get("namespace", "default"), meta.get("uid")
    if not isinstance(name, str) or not isinstance(namespace, str):
        return
    uid = uid if isinstance(uid, str) and kind == "Pod" else None
    for container in [*_list(spec, "containers"), *_list(spec, "initContainers")]:
        if isinstance(container, dict) and isinstance(label := container.get("name"), str):
            yield Declared(namespace, name, uid, kind == "Pod", label, tuple(_checks(container)))


def _checks(container: dict[str, Any]) -> Iterator[Check]:
    values = {
        each["name"]: each["value"]
        for each in _list(container, "env")
        if isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("value"), str)
    }
    for key in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = _map(container, key)
        if argv := _command(probe, values):
            period = probe.get("periodSeconds")
            seconds = period if isinstance(period, int) and 0 < period < 10**6 else _PERIOD_S
            yield Check(argv, pace=Pace(seconds * _SECOND, ticks=True))
    hooks = _map(container, "lifecycle")
    for key in ("postStart", "preStop"):
        if argv := _command(_map(hooks, key), values):
            yield Check(argv, pace=Pace(once=True))


def _command(handler: dict[str, Any], values: dict[str, str]) -> tuple[str, ...]:
    words = _list(_map(handler, "exec"), "command")
    return (
        tuple(_expanded(word, values) for word in words)
        if all(isinstance(word, str) for word in words)
        else ()
    )


def _expanded(word: str, values: dict[str, str]) -> str:
    """As the kubelet does it before it calls the runtime: $(NAME) of the container's own env, $$ for one $."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else values.get(found[1], found[0])

    return _VARIABLE.sub(value, word)


def _map(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []
