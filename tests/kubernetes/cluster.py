# SPDX-License-Identifier: Apache-2.0
"""A cluster of one host: Debian's etcd, kube-apiserver and kubelet of 1.20 by `build.sh`, a containerd of its own.

There is no scheduler and no controller: pods name their node. What is special to machines with fewer rights than root
has elsewhere, and to hybrid cgroups: `oomScoreAdj`, `cgroupDriver`, no evictions.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.kubernetes.certificates import Authority
from vagrant.local.service import Service

if TYPE_CHECKING:
    from contextlib import ExitStack

CACHE: Final = Path(os.environ.get("NSENTRY_CACHE", Path.home() / ".cache/nsentry")) / "kubernetes-1.20"
NODE: Final = "localhost"
IMAGE: Final = "localhost/busybox:test"
USERS: Final = {"admin": "system:masters", "alice": "developers", "bob": "developers"}
READY_S: Final = 120

POLICY: Final[dict[str, Any]] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [
        {"level": "Metadata", "resources": [
            {"group": "", "resources": ["pods/exec", "pods/attach", "pods/portforward", "nodes/proxy"]}]},
        {"level": "RequestResponse", "verbs": ["create", "update", "patch"], "resources": [
            {"group": "", "resources": ["pods/ephemeralcontainers"]}, {"group": "rbac.authorization.k8s.io"}]},
        {"level": "Request", "verbs": ["create", "update", "patch"],
         "resources": [{"group": "", "resources": ["pods"]}]},
        {"level": "None"},
    ],
}  # fmt: skip


class Cluster:
    """Its parts below `folder`; `start` them, then `kubectl` as somebody."""

    def __init__(self, folder: Path, containerd: Path, webhook: str) -> None:
        """`webhook`: the kubeconfig that the controller printed."""
        folder.mkdir()
        self.folder, self._containerd = folder, containerd
        self.audit_log = folder / "audit.log"
        self.manifests = folder / "manifests"
        self.manifests.mkdir(mode=0o755)
        self.api, self.kubelet_port, self._etcd, self._peer = _free_ports(4)
        self.pki = Authority(folder)
        self.pki.issue("apiserver", "kube-apiserver")
        self.pki.issue("kubelet", f"system:node:{NODE}", "system:nodes")
        for user, group in USERS.items():
            self.pki.issue(user, user, group)
            self._write(f"{user}.kubeconfig", self._kubeconfig(user))
        self._write("kubelet.kubeconfig", self._kubeconfig("kubelet"))
        self._write("policy.json", POLICY)
        (folder / "webhook.kubeconfig").write_text(webhook)

    def start(self, undo: ExitStack) -> None:
        """All of them, until a node is registered."""
        undo.callback(self._clean)
        etcd = f"http://127.0.0.1:{self._etcd}"
        peer = f"http://127.0.0.1:{self._peer}"
        self._run(undo, "etcd", "/usr/bin/etcd", "--data-dir", str(self.folder / "etcd"),
                  "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peer,
                  "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                  "--unsafe-no-fsync")  # fmt: skip
        self._run(undo, "kube-apiserver", CACHE / "kube-apiserver", *self._apiserver(etcd))
        _until(lambda: self.kubectl("get", "--raw", "/readyz").returncode == 0)
        self._write("kubelet.yaml", self._kubelet())
        self._run(undo, "kubelet", CACHE / "kubelet", "--config", str(self.folder / "kubelet.yaml"),
                  "--kubeconfig", str(self.folder / "kubelet.kubeconfig"), "--hostname-override", NODE,
                  "--root-dir", str(self.folder / "kubelet"), "--container-runtime", "remote",
                  "--container-runtime-endpoint", f"unix://{self._containerd}",
                  "--cert-dir", str(self.folder))  # fmt: skip
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

    def _apiserver(self, etcd: str) -> list[str]:
        at = {
            name: str(self.folder / name) for name in ("ca.crt", "apiserver.crt", "apiserver.key", "sa.key")
        }
        return [
            f"--etcd-servers={etcd}", f"--secure-port={self.api}", "--bind-address=127.0.0.1",
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=198.18.96.0/24", "--allow-privileged",
            f"--tls-cert-file={at['apiserver.crt']}", f"--tls-private-key-file={at['apiserver.key']}",
            f"--client-ca-file={at['ca.crt']}", "--authorization-mode=Node,RBAC",
            f"--service-account-key-file={at['sa.key']}", f"--service-account-signing-key-file={at['sa.key']}",
            "--service-account-issuer=https://localhost", "--disable-admission-plugins=ServiceAccount",
            f"--kubelet-client-certificate={self.folder / 'admin.crt'}",
            f"--kubelet-client-key={self.folder / 'admin.key'}",
            "--kubelet-preferred-address-types=Hostname", "--feature-gates=EphemeralContainers=true",
            f"--cert-dir={self.folder}", f"--audit-policy-file={self.folder / 'policy.json'}",
            f"--audit-log-path={self.audit_log}", f"--audit-webhook-config-file={self.folder / 'webhook.kubeconfig'}",
            "--audit-webhook-batch-max-wait=1s", "--audit-webhook-truncate-enabled",
        ]  # fmt: skip

    def _kubelet(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "address": "127.0.0.1",
            "port": self.kubelet_port, "healthzPort": 0, "readOnlyPort": 0, "cgroupDriver": "cgroupfs",
            "failSwapOn": False, "oomScoreAdj": 0, "enforceNodeAllocatable": [], "makeIPTablesUtilChains": False,
            "tlsCertFile": str(self.folder / "apiserver.crt"),
            "tlsPrivateKeyFile": str(self.folder / "apiserver.key"),
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": str(self.folder / "ca.crt")}},
            "authorization": {"mode": "Webhook"}, "clusterDomain": "cluster.local", "resolvConf": "",
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100, "featureGates": {"EphemeralContainers": True},
            "volumePluginDir": str(self.folder / "plugins"), "localStorageCapacityIsolation": False,
        }  # fmt: skip

    def _kubeconfig(self, user: str) -> dict[str, Any]:
        at = str(self.folder / user)
        return {
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": f"https://localhost:{self.api}",
                                                    "certificate-authority": str(self.folder / "ca.crt")}}],
            "users": [{"name": user, "user": {"client-certificate": f"{at}.crt", "client-key": f"{at}.key"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": user}}],
        }  # fmt: skip

    def _run(self, undo: ExitStack, name: str, program: Path | str, *words: str) -> None:
        environment = {"ETCD_UNSUPPORTED_ARCH": os.uname().machine}
        service = Service(name, [str(program), *words], self.folder / f"{name}.log", environment)
        undo.callback(service.stop)
        service.start()

    def _write(self, name: str, document: dict[str, Any]) -> None:
        (self.folder / name).write_text(json.dumps(document))  # JSON is YAML

    def _clean(self) -> None:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        for point in sorted((line.split()[4] for line in mounts if f" {self.folder}/" in line), reverse=True):
            subprocess.run(["umount", "-l", point], check=False)
        for pods in Path("/sys/fs/cgroup").glob("*/kubepods"):
            for each in sorted(pods.rglob("*"), reverse=True):
                with suppress(OSError):
                    each.rmdir()
            with suppress(OSError):
                pods.rmdir()


def _free_ports(count: int) -> list[int]:
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
