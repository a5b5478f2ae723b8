# SPDX-License-Identifier: Apache-2.0
"""A cluster of one host: Debian's etcd, kube-apiserver and kubelet of 1.20 by `build.sh`, a containerd of its own.

How its parts are run, who its users are and what is audited is the lab's: `vagrant/kubernetes`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vagrant.local.service import Service

if TYPE_CHECKING:
    from contextlib import ExitStack

CACHE: Final = Path(os.environ.get("NSENTRY_CACHE", Path.home() / ".cache/nsentry")) / "kubernetes-1.20"
NODE: Final = "localhost"
IMAGE: Final = "localhost/busybox:test"
SHARED: Final = Path(__file__).parents[2] / "vagrant/kubernetes"
"""What the lab's Kubernetes host is made of as well."""
READY_S: Final = 120


class Cluster:
    """Its parts below `folder`; `start` them, then `kubectl` as somebody."""

    def __init__(self, folder: Path, containerd: Path, webhook: str) -> None:
        """`webhook`: the kubeconfig that the controller printed."""
        folder.mkdir()
        self.folder = folder
        self.audit_log = folder / "audit.log"
        self.manifests = folder / "manifests"
        self.manifests.mkdir(mode=0o755)
        self.api, self.kubelet_port, self._etcd, self._peer = free_ports(4)
        settings = {
            "NODE": NODE, "ADDRESS": "127.0.0.1", "LISTEN": "127.0.0.1",
            "API_PORT": self.api, "KUBELET_PORT": self.kubelet_port, "ETCD_PORT": self._etcd,
            "PEER_PORT": self._peer, "CONTAINERD": containerd, "PROGRAMS": CACHE, "STATE": folder,
            "AUDIT_LOG": self.audit_log,
        }  # fmt: skip
        (folder / "cluster").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
        subprocess.run([SHARED / "certificates", folder], check=True, capture_output=True)
        shutil.copy(SHARED / "audit-policy.yaml", folder)
        (folder / "nsentry-audit.kubeconfig").write_text(webhook)

    def start(self, undo: ExitStack) -> None:
        """All of them, until a node is registered."""
        undo.callback(self._clean)
        self._run(undo, "etcd")
        self._run(undo, "kube-apiserver")
        _until(lambda: self.kubectl("get", "--raw", "/readyz").returncode == 0)
        self._run(undo, "kubelet")
        _until(lambda: self.kubectl("get", "node", NODE).returncode == 0)

    def kubectl(
        self, *words: str, user: str = "admin", stdin: str = "", **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """The newest kubectl, as somebody."""
        return subprocess.run(self.command(*words, user=user), input=stdin, capture_output=True, text=True,
                              timeout=60, check=False, **more)  # fmt: skip

    def command(self, *words: str, user: str = "admin") -> list[str]:
        """Its command line."""
        return [
            str(CACHE / "kubectl/bin/kubectl"),
            "--kubeconfig",
            str(self.folder / f"{user}.kubeconfig"),
            *words,
        ]

    def create(self, document: dict[str, Any], user: str = "admin") -> None:
        """Make an object that has to be taken."""
        made = self.kubectl("create", "-f", "-", "--validate=false", user=user, stdin=json.dumps(document))
        assert made.returncode == 0, made.stderr

    def pod(self, name: str, user: str = "admin", *, declared: bool = True, **spec: Any) -> None:
        """A pod of busybox that runs, when this returns. `declared`: the sensor is told of its probes."""
        container = {"name": "app", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "3600"]}
        container |= spec.pop("container", {})
        whole = {"nodeName": NODE, "tolerations": [{"operator": "Exists"}], "automountServiceAccountToken": False,
                 "terminationGracePeriodSeconds": 1, "containers": [container], **spec}  # fmt: skip
        metadata = {"name": name, "namespace": "shop"}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole}
        if declared:
            (self.manifests / f"{name}.json").write_text(json.dumps(document))
        self.create(document, user)
        phase = ["get", "pod", name, "-n", "shop", "-o", "jsonpath={.status.phase}"]
        _until(lambda: self.kubectl(*phase).stdout == "Running")

    def log(self, name: str) -> str:
        """The end of a part's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def _run(self, undo: ExitStack, part: str) -> None:
        service = Service(part, [str(SHARED / "run"), part, str(self.folder)], self.folder / f"{part}.log")
        undo.callback(service.stop)
        service.start()

    def _clean(self) -> None:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        for point in sorted((line.split()[4] for line in mounts if f" {self.folder}/" in line), reverse=True):
            subprocess.run(["umount", "-l", point], check=False)
        remove_cgroups()


def remove_cgroups() -> None:
    """The groups that a kubelet made, once their processes are gone: it leaves them."""
    for pods in Path("/sys/fs/cgroup").glob("*/kubepods"):
        for each in (*sorted(pods.rglob("*"), reverse=True), pods):
            with suppress(OSError):
                each.rmdir()


def free_ports(count: int) -> list[int]:
    """Ports of this host that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _until(condition: Any, seconds: float = READY_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
