# SPDX-License-Identifier: Apache-2.0
"""What containerd keeps of a container that `ctr` or nerdctl made: its image by digest, labels, restart policy.

The bundle has none of it. https://github.com/containerd/containerd, api/services/{containers,images}/v1; the
labels are those of nerdctl (pkg/labels/labels.go) and of containerd's restart monitor (core/runtime/restart).
"""

from __future__ import annotations

import json
from typing import Final

from sensor.enrich import facts, protobuf
from sensor.enrich.configuration import NOTHING
from sensor.enrich.daemon import TIMEOUT_S, UnexpectedError
from sensor.enrich.facts import Facts
from sensor.enrich.grpc import RefusedError, Service
from sensor.enrich.protobuf import Fields
from sensor.enrich.supervisor import ID
from sensor.enrich.text import clean
from sensor.wire import MAX_SETTINGS, Settings

CONTAINER: Final = "/containerd.services.containers.v1.Containers/Get"
IMAGE: Final = "/containerd.services.images.v1.Images/Get"


class Containerd:
    """One daemon, by its socket."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._service = Service(path, timeout_s)

    @property
    def owner(self) -> int | None:
        """The uid that listens there, once it was asked."""
        return self._service.owner

    def facts(self, container_id: str, namespace: str) -> Facts | None:
        """What it keeps of a container of one of its namespaces.

        Raises AwayError or UnexpectedError; RefusedError, which is one, where it has no such container.
        """
        if not (ID.fullmatch(container_id) and ID.fullmatch(namespace)):
            return None
        try:
            container = self._one(CONTAINER, container_id, namespace)
            name = protobuf.text(container, 3)
            image = self._image(name, namespace) if name else {}
            return describe(container, image)
        except ValueError as error:
            raise UnexpectedError(f"{self.path} sent what cannot be read: {error}") from error

    def _one(self, method: str, name: str, namespace: str) -> Fields:
        answer = self._service.call(method, protobuf.pack({1: name}), namespace)
        return next(iter(protobuf.messages(protobuf.unpack(answer), 1)), {})

    def _image(self, name: str, namespace: str) -> Fields:
        try:
            return self._one(IMAGE, name, namespace)
        except RefusedError:
            return {}  # removed, or replaced: the container keeps its name alone


def describe(container: Fields, image: Fields) -> Facts:
    """What a Container and its Image say. Raises ValueError."""
    labels, name = protobuf.mapping(container, 2), protobuf.text(container, 3)
    target = next(iter(protobuf.messages(image, 3)), {})
    digest = protobuf.text(target, 2)
    restart = labels.get("containerd.io/restart.policy") or labels.get("containerd.io/restart.status")
    settings = Settings(
        **{
            **NOTHING,
            "image_digest": clean(digest, facts.MAX_NAME) if digest else None,
            "restart": clean(restart or "no", facts.MAX_NAME),
            "ports": _ports(labels.get("nerdctl/ports", "[]")),
        }
    )
    called = labels.get("nerdctl/name")
    return Facts(
        name=facts.text(called),
        image=facts.text(name or None),
        labels=facts.labels(labels),
        settings=settings,
    )


def _ports(told: str) -> list[str] | None:
    """What nerdctl publishes: containers that `ctr` made have no ports of their own."""
    try:
        ports = json.loads(told)
    except (ValueError, RecursionError):
        return None
    found = set()
    for port in ports[:MAX_SETTINGS] if isinstance(ports, list) else []:
        if isinstance(port, dict):
            outer = f"{port.get('HostIP') or '0.0.0.0'}:{port.get('HostPort')}"  # noqa: S104
            found.add(clean(f"{outer}->{port.get('ContainerPort')}/{port.get('Protocol')}", facts.MAX_NAME))
    return sorted(found)
