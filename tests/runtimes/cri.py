# SPDX-License-Identifier: Apache-2.0
"""The container runtime interface as the kubelet drives it. Field numbers: api.proto of k8s.io/cri-api, v1."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

from sensor.enrich import protobuf
from sensor.enrich.cri import SERVICE
from sensor.enrich.daemon import AwayError
from sensor.enrich.grpc import RefusedError, Service
from tests.runtimes.websocket import WebSocket

Namespace = Literal["pod", "container", "node"]
_MODES: Final[dict[Namespace, int]] = {"pod": 0, "container": 1, "node": 2}
_STATUS_CHANNEL: Final = 3

_numbers = itertools.count(1)


@dataclass
class Pod:
    """A sandbox that runs."""

    id: str
    name: str
    uid: str
    config: dict[int, object]
    namespaces: dict[int, object]


class Pods:
    """The runtime service of one daemon, and the pods that were made by it."""

    def __init__(self, socket: str) -> None:
        self._service = Service(socket, timeout_s=60)
        self._made: list[Pod] = []

    def call(self, method: str, fields: dict[int, object]) -> protobuf.Fields:
        """One call. Raises as Service.call does."""
        return protobuf.unpack(self._service.call(SERVICE + method, protobuf.pack(fields)))

    def ready(self) -> bool:
        """Whether the service answers."""
        try:
            return bool(self.call("Version", {}))
        except (AwayError, RefusedError):
            return False

    def run(
        self,
        *,
        network: Namespace = "pod",
        pid: Namespace = "container",
        ipc: Namespace = "pod",
        **labels: str,
    ) -> Pod:
        """RunPodSandbox: a pod in namespace shop, with labels."""
        name, uid = f"pod{next(_numbers)}", str(uuid.uuid4())
        namespaces: dict[int, object] = {1: _MODES[network], 2: _MODES[pid], 3: _MODES[ipc]}
        own = {f"io.kubernetes.pod.{key}": value for key, value in (("name", name), ("namespace", "shop"))}
        config: dict[int, object] = {
            1: {1: name, 2: uid, 3: "shop"},
            2: name,
            6: {**own, "io.kubernetes.pod.uid": uid, **labels},
            8: {1: f"/kubepods/besteffort/pod{uid}", 2: {1: namespaces}},
        }
        if network == "node":
            del config[2]
        made = protobuf.text(self.call("RunPodSandbox", {1: config}), 1)
        self._made.append(Pod(made, name, uid, config, namespaces))
        return self._made[-1]

    def start(self, pod: Pod, name: str, *command: str, image: str = "localhost/busybox:test") -> str:
        """CreateContainer and StartContainer; the container's id."""
        config: dict[int, object] = {
            1: {1: name},
            2: {1: image},
            3: list(command or ("sleep", "3600")),
            9: {"io.kubernetes.container.name": name},
            # The kubelet asks for the masked and read-only paths of every container that is not privileged.
            15: {1: {3: 2, 5: 1000}, 2: {3: pod.namespaces, 13: ["/proc/kcore"], 14: ["/proc/sys"]}},
        }
        made = protobuf.text(self.call("CreateContainer", {1: pod.id, 2: config, 3: pod.config}), 1)
        self.call("StartContainer", {1: made})
        return made

    def exec_sync(self, container: str, *command: str) -> tuple[bytes, int]:
        """ExecSync, as for a probe: standard output and exit code."""
        answer = self.call("ExecSync", {1: container, 2: list(command), 3: 30})
        code, printed = answer.get(3, [0])[0], answer.get(1, [b""])[0]
        assert isinstance(printed, bytes)
        assert isinstance(code, int)
        return printed, code

    def exec(self, container: str, *command: str, tty: bool = False, stdin: bytes = b"") -> tuple[bytes, Any]:
        """Exec by its stream, as `kubectl exec` does: what was printed, and the status."""
        asked = {1: container, 2: list(command), 3: tty, 4: bool(stdin), 5: True, 6: not tty}
        printed, status = bytearray(), None
        with WebSocket(protobuf.text(self.call("Exec", asked), 1)) as stream:
            if stdin:
                stream.send(0, stdin)
            for channel, data in stream.messages():
                if channel == _STATUS_CHANNEL:
                    status = json.loads(data)
                else:
                    printed += data
        return bytes(printed), status

    def forward(self, pod: Pod, port: int) -> None:
        """PortForward: what the pod's port answers to one connection is waited for, and thrown away."""
        with WebSocket(protobuf.text(self.call("PortForward", {1: pod.id, 2: [port]}), 1)) as stream:
            for _, (_, data) in zip(range(2), stream.messages(), strict=False):
                assert int.from_bytes(data, "little") == port
            stream.send(0, b"GET / HTTP/1.0\r\n\r\n")
            next(stream.messages())

    def remove(self, pod: Pod) -> None:
        """StopPodSandbox and RemovePodSandbox, which take its containers with them."""
        self.call("StopPodSandbox", {1: pod.id})
        self.call("RemovePodSandbox", {1: pod.id})
        self._made.remove(pod)

    def remove_all(self) -> None:
        """Every pod that was made."""
        for pod in list(self._made):
            self.remove(pod)
