# SPDX-License-Identifier: Apache-2.0
"""Pods and their containers by crictl, as the kubelet makes them: for containerd and CRI-O.

crictl(1) of https://github.com/kubernetes-sigs/cri-tools; the configurations are PodSandboxConfig and ContainerConfig
of k8s.io/cri-api, as JSON.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.emulation.clients import UnreachableRuntimeError
from controller.emulation.disposable import LABEL, LIFE_S, NAME, UID, Made
from controller.emulation.place import EmulationError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDIN: Final = "/dev/stdin"
_NAMESPACE: Final = "nsentry-emulation"
_OWN_NETWORK: Final = {"namespace_options": {"network": 0, "pid": 1, "ipc": 0}}


@dataclass(frozen=True, slots=True)
class Cri:
    """The runtime behind crictl; `command` is its line up to the first word of its own."""

    command: tuple[str, ...] = ("crictl",)
    place: Place = field(default_factory=Place)
    name: str = "cri"

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        """What crictl printed. EmulationError with what it said when it failed."""
        return self.place.run([*self.command, *arguments], stdin=stdin)

    def check(self) -> None:
        """UnreachableRuntimeError unless it answers."""
        try:
            self("version")
        except EmulationError as error:
            raise UnreachableRuntimeError(
                f"no container runtime answers crictl: {error}; name its client and socket by "
                "--client 'crictl --runtime-endpoint unix:///run/containerd/containerd.sock'"
            ) from error

    @contextmanager
    def image(self, name: str | None) -> Iterator[str]:
        """The image `name`, which the node must have: the CRI has no way to bring one along."""
        if name is None:
            raise EmulationError("name an image with sleep, sh, id and wget that the node has: --image")
        yield name

    @contextmanager
    def container(self, image: str, run: str) -> Iterator[Made]:
        """A container in a pod of its own, removed with it."""
        name = NAME.format(run=run)
        pod_config = _pod(name, run)
        try:
            pod = self("runp", _STDIN, stdin=pod_config)
            both = self._files(_container(name, image, run), pod_config, pod)
            self("start", both)
            told = json.loads(self("inspect", "--output", "json", both))
            yield Made(both, name, int(told["info"]["pid"]), (*self.command, "exec"))
        finally:
            self._remove(run)

    def containers(self, run: str) -> list[str]:
        """The containers of this run."""
        return self("ps", "--all", "--quiet", "--no-trunc", "--label", f"{LABEL}={run}").split()

    def _files(self, container: bytes, pod_config: bytes, pod: str) -> str:
        """`crictl create`, which takes two files and there is but one standard input: a shell makes the other."""
        line = 'd=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && printf %s "$1" >"$d/c" && printf %s "$2" >"$d/p" && '
        line += 'p=$3 && shift 3 && "$@" create "$p" "$d/c" "$d/p"'
        words = ["sh", "-c", line, "sh", container.decode(), pod_config.decode(), pod, *self.command]
        return self.place.run(words)

    def _remove(self, run: str) -> None:
        mine = self("pods", "--quiet", "--no-trunc", "--label", f"{LABEL}={run}").split()
        for pod in mine:
            self("stopp", pod)
            self("rmp", pod)


def _pod(name: str, run: str) -> bytes:
    return _json(
        {
            "metadata": {"name": name, "namespace": _NAMESPACE, "uid": run, "attempt": 1},
            "hostname": name[:63],
            "labels": {
                LABEL: run,
                "io.kubernetes.pod.name": name,
                "io.kubernetes.pod.namespace": _NAMESPACE,
                "io.kubernetes.pod.uid": run,
            },
            "linux": {"security_context": _OWN_NETWORK},
        }
    )


def _container(name: str, image: str, run: str) -> bytes:
    return _json(
        {
            "metadata": {"name": name, "attempt": 1},
            "image": {"image": image},
            "command": ["sleep", str(LIFE_S)],
            "labels": {
                LABEL: run,
                "io.kubernetes.container.name": name,
                "io.kubernetes.pod.name": name,
                "io.kubernetes.pod.namespace": _NAMESPACE,
                "io.kubernetes.pod.uid": run,
            },
            "linux": {"security_context": {"run_as_user": {"value": UID}, **_OWN_NETWORK}},
        }
    )


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")
