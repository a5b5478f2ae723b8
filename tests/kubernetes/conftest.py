# SPDX-License-Identifier: Apache-2.0
"""One cluster, controller and sensor for the tests of a module: two kubelets would take each other's pods away."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest

from tests.kubernetes.cluster import SHARED, Cluster
from tests.runtimes.containerd import Containerd
from vagrant.local import host
from vagrant.local.stack import Stack

ASKED_FOR = "NSENTRY_TEST_KUBERNETES"


def pytest_ignore_collect():
    """A lane of its own: what it needs takes minutes to build."""
    return None if os.environ.get(ASKED_FOR) else True


class Lane:
    """All parts together."""

    def __init__(self, stack: Stack, cluster: Cluster) -> None:
        self.stack, self.cluster = stack, cluster

    def entries(self, pod: str, *words: str):
        """What was seen of a pod's container."""
        rows = self.stack.read("entries", "list", "--limit", "500", *words)
        return [row for row in rows if (row["container"]["pod"] or {}).get("name") == pod]

    def visit(self, pod: str, *argv: str, status: str = "recorded"):
        """The visit that ran `argv`, once the API server's word on it is `status`."""
        return self.until(lambda: next(
            (row for row in self.entries(pod)
             if row["process"] and row["process"]["argv"] == list(argv) and (row["api"] or {}).get("status") == status),
            None,
        ))  # fmt: skip

    def records(self, *words: str):
        return self.stack.read("records", "list", "--source", "kubernetes", "--limit", "500", *words)

    def alert(self, detection: str, about: str):
        return self.until(lambda: next(
            (row for row in self.stack.read("alerts", "list", "--state", "all", "--limit", "200")
             if detection in row["detections"] and about in row["title"] + row["sentence"]),
            None,
        ))  # fmt: skip

    def until(self, found, seconds=90.0):
        """What `found` returns, once it is something."""
        deadline = time.monotonic() + seconds
        while not (it := found()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.5)
        return it


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    with ExitStack() as undo:
        undo.enter_context(host.tracefs())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        root = tmp_path_factory.mktemp("lane")
        stack = Stack(root / "stack", port)
        stack.start_controller(undo)
        kubeconfig = stack.controller("kubernetes", "enroll", "lane")
        containerd = undo.enter_context(Containerd())
        cluster = Cluster(root / "cluster", containerd.socket, kubeconfig)
        settings = {"RECORDS_KUBERNETES_AUDIT": cluster.audit_log, "PROBES_MANIFESTS": cluster.manifests}
        for name, value in settings.items():
            os.environ[f"NSENTRY_SENSOR_{name}"] = str(value)
            undo.callback(os.environ.pop, f"NSENTRY_SENSOR_{name}")
        stack.start_sensor(undo)
        try:
            cluster.start(undo)
        except BaseException:
            for name in ("etcd", "kube-apiserver", "kubelet"):
                subprocess.run(["tail", "-n", "25", cluster.folder / f"{name}.log"], check=False)
            raise
        made = cluster.kubectl("create", "-f", str(SHARED / "people.yaml"))
        assert made.returncode == 0, made.stderr
        yield Lane(stack, cluster)
