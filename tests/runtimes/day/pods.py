# SPDX-License-Identifier: Apache-2.0
"""A day of pods, as the kubelet drives containerd: they start, are probed, forward a port, and go."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.runtimes.containerd import Containerd
from tests.runtimes.cri import Pod
from tests.runtimes.day.work import Work

PROBE = ("cat", "/etc/passwd")
HOOK = ("sh", "-c", "id; sleep 0")
PERIOD_S = 1
PORT = 8080


class Kubelet:
    """Pods on one containerd; what it knows of them is written to `manifests`, as a cluster's node has it."""

    def __init__(self, work: Work, daemon: Containerd, manifests: Path) -> None:
        self._work = work
        self._daemon = daemon
        self._manifests = manifests
        self._stays: Pod | None = None
        self._probed = ""
        self._last = 0.0
        self.parts = (self.life, self.company, self.probe)

    def stay(self) -> None:
        """A pod whose container is probed all day."""
        self._stays = self._pod()
        self._declare(self._stays, "probed")
        self._probed = self._container(self._stays, "probed")

    def end(self) -> None:
        """Everything goes."""
        self._work.count()
        self._daemon.pods.remove_all()

    def _pod(self, **options: str) -> Pod:
        self._work.count()
        pod = self._daemon.pods.run(**options)
        self._work.made_one(pod.id)
        return pod

    def _container(self, pod: Pod, name: str, *command: str) -> str:
        self._work.count(2)
        return self._work.made_one(self._daemon.pods.start(pod, name, *command))

    def _declare(self, pod: Pod, name: str) -> None:
        probe = {"exec": {"command": list(PROBE)}, "periodSeconds": PERIOD_S}
        hook = {"preStop": {"exec": {"command": list(HOOK)}}}
        spec = {"containers": [{"name": name, "livenessProbe": probe, "lifecycle": hook}]}
        written = {
            "kind": "Pod",
            "metadata": {"name": pod.name, "namespace": "shop", "uid": pod.uid},
            "spec": spec,
        }
        (self._manifests / f"{pod.name}.json").write_text(json.dumps(written), encoding="ascii")

    def probe(self) -> None:
        """Some probes, at the period that the pod declares."""
        for _ in range(3):
            time.sleep(max(0.0, self._last + PERIOD_S - time.monotonic()))
            self._last = time.monotonic()
            self._work.count()
            self._daemon.pods.exec_sync(self._probed, *PROBE)

    def life(self) -> None:
        """A pod of two, one of which listens; the hook before a container stops, and the pod's end."""
        pod = self._pod(app="web")
        self._declare(pod, "web")
        web = self._container(pod, "web", "httpd", "-f", "-p", str(PORT))
        self._container(pod, "beside")
        self._work.count(2)
        self._daemon.pods.forward(pod, PORT)
        self._daemon.pods.exec_sync(web, *HOOK)
        self._work.count(2)
        self._daemon.pods.remove(pod)

    def company(self) -> None:
        """Pods that share more than their network, also with the host."""
        for options in ({"pid": "pod"}, {"pid": "node", "network": "node", "ipc": "node"}):
            pod = self._pod(**options)
            self._container(pod, "one")
            self._container(pod, "two", "sh", "-c", "ps; true")
            self._work.count(2)
            self._daemon.pods.remove(pod)
