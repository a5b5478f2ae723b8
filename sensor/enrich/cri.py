# SPDX-License-Identifier: Apache-2.0
"""What the container runtime interface (CRI) knows of a container: containerd's and CRI-O's, over their socket.

https://github.com/kubernetes/cri-api (runtime.v1, field numbers of api.proto). The pod's labels are only
there: a bundle's annotations have the names, but no label.
"""

from __future__ import annotations

import json
from typing import Final

from sensor.enrich import facts, protobuf
from sensor.enrich.configuration import NOTHING
from sensor.enrich.daemon import TIMEOUT_S, UnexpectedError
from sensor.enrich.facts import Facts
from sensor.enrich.grpc import Service
from sensor.enrich.protobuf import Fields
from sensor.enrich.supervisor import ID
from sensor.enrich.text import clean
from sensor.wire import MAX_SETTINGS, Settings

SERVICE: Final = "/runtime.v1.RuntimeService/"
_PORTS: Final = "io.kubernetes.container.ports"
"""An annotation that the kubelet makes of the ports in the pod's specification."""


class Cri:
    """One daemon, by its socket."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._service = Service(path, timeout_s)

    @property
    def owner(self) -> int | None:
        """The uid that listens there, once it was asked."""
        return self._service.owner

    def facts(self, container_id: str) -> Facts | None:
        """What it says of a container or a pod's sandbox, None where it has none of this id.

        Raises AwayError or UnexpectedError.
        """
        if not ID.fullmatch(container_id):
            return None
        try:
            container = self._one("ListContainers", container_id)
            sandbox = self._one(
                "ListPodSandbox", container_id if container is None else protobuf.text(container, 2)
            )
            return None if container is None and sandbox is None else describe(container, sandbox)
        except ValueError as error:
            raise UnexpectedError(f"{self.path} sent what cannot be read: {error}") from error

    def _one(self, method: str, object_id: str) -> Fields | None:
        """The object of exactly this id: a filter takes the beginning of one, too."""
        answer = self._service.call(SERVICE + method, protobuf.pack({1: {1: object_id}}))
        found = protobuf.messages(protobuf.unpack(answer), 1)
        return next((one for one in found if protobuf.text(one, 1) == object_id), None)


def describe(container: Fields | None, sandbox: Fields | None) -> Facts:
    """What a Container and its PodSandbox say; the labels are the pod's and, over them, the container's own.

    A sandbox alone is the pod's first container, which has no name and no image of its own here. Raises
    ValueError.
    """
    labels: dict[str, str] = {}
    found = Facts()
    if sandbox is not None:
        metadata = next(iter(protobuf.messages(sandbox, 2)), {})
        labels |= protobuf.mapping(sandbox, 5)
        found = Facts(
            pod=facts.pod(
                protobuf.text(metadata, 1), protobuf.text(metadata, 3), protobuf.text(metadata, 2) or None
            )
        )
    if container is not None:
        metadata = next(iter(protobuf.messages(container, 3)), {})
        image = next(iter(protobuf.messages(container, 4)), {})
        labels |= protobuf.mapping(container, 8)
        found = Facts(
            name=facts.text(protobuf.text(metadata, 1) or None),
            image=facts.text(protobuf.text(image, 1) or None),
            settings=_settings(container),
        ).over(found)
    return Facts(labels=facts.labels(labels)).over(found)


def _settings(container: Fields) -> Settings:
    """What no bundle says: the image by its digest, and the ports that the pod declares."""
    digest, told = protobuf.text(container, 5), protobuf.mapping(container, 9).get(_PORTS)
    return Settings(
        **{
            **NOTHING,
            "image_digest": clean(digest, facts.MAX_NAME) if digest else None,
            "ports": None if told is None else _ports(told),
        }
    )


def _ports(told: str) -> list[str] | None:
    """As `docker ps` prints them, without an outer one where the port is the pod's alone."""
    try:
        ports = json.loads(told)
    except (ValueError, RecursionError):
        return None
    found = set()
    for port in ports[:MAX_SETTINGS] if isinstance(ports, list) else []:
        if isinstance(port, dict) and isinstance(port.get("containerPort"), int):
            inner = f"{port['containerPort']}/{str(port.get('protocol') or 'TCP').lower()}"
            outer = f"{port.get('hostIP') or '0.0.0.0'}:{port['hostPort']}->" if port.get("hostPort") else ""  # noqa: S104
            found.add(clean(outer + inner, facts.MAX_NAME))
    return sorted(found)
