# SPDX-License-Identifier: Apache-2.0
"""A pod's declared exec probes and hooks are probes; podman's health checks are; what only resembles one is not."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES
from tests.runtimes.containerd import Containerd
from tests.runtimes.cri import Pod
from tests.runtimes.day.podman import Podman
from tests.runtimes.day.work import Work
from tests.runtimes.test_probes import means
from tests.runtimes.watching import Watching

pytestmark = pytest.mark.runtimes

PROBE = ("sh", "-c", "test -e /bin/busybox")
HOOK = ("sleep", "0")
PERIOD_S = 3600


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with Containerd() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    with ExitStack() as undo:
        yield Podman(Work(), undo)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture
def watching(containerd: Containerd, podman: Podman, manifests: Path, tracefs: None) -> Iterator[Watching]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching("core", [str(podman.socket)], manifests=[manifests])
    yield watching
    watching.close()


def declare(folder: Path, pod: Pod, period_s: int, *probe: str) -> None:
    """The manifest of a pod, as a node's folder has it before the pod is made."""
    liveness = {"exec": {"command": list(probe)}, "periodSeconds": period_s}
    hook = {"preStop": {"exec": {"command": list(HOOK)}}}
    meta = {"name": pod.name, "namespace": "shop", "uid": pod.uid}
    spec = {"containers": [{"name": "web", "livenessProbe": liveness, "lifecycle": hook}]}
    written = {"kind": "Pod", "metadata": meta, "spec": spec}
    (folder / f"{pod.name}.json").write_text(json.dumps(written), encoding="ascii")


@pytest.fixture
def probed(containerd: Containerd, manifests: Path) -> Iterator[Callable[[int], str]]:
    """A function that starts a container whose pod declares PROBE; its id."""
    made: list[Pod] = []

    def start(period_s: int) -> str:
        pod = containerd.pods.run()
        made.append(pod)
        declare(manifests, pod, period_s, *PROBE)
        return containerd.pods.start(pod, "web")

    yield start
    for pod in made:
        containerd.pods.remove(pod)


def entered(watching: Watching, container: str, act: Callable[[], object]) -> str:
    """By which means `act` is one more entry into the container."""
    before = len(means(watching, container))
    act()
    watching.until(lambda: len(means(watching, container)) == before + 1)
    watching.pump(0.3)
    return means(watching, container)[-1]


def test_probe_and_hook_are_probes_each_in_its_time(
    watching: Watching, containerd: Containerd, manifests: Path, probed: Callable[[int], str]
) -> None:
    # The worker looks at the folder when the sensor begins, and every REFRESH_S from then on.
    web = probed(PERIOD_S)
    assert entered(watching, web, lambda: containerd.pods.exec_sync(web, *PROBE)) in {"probe", "cri-exec"}
    watching.until(lambda: bool((known := watching.containers.by_id(web)) and known.checks), 30)
    assert entered(watching, web, lambda: containerd.pods.exec_sync(web, *HOOK)) == "probe"
    assert entered(watching, web, lambda: containerd.pods.exec_sync(web, *HOOK)) == "cri-exec", (
        "a hook runs once"
    )


def test_the_declared_command_in_another_way_or_at_another_time_is_an_exec(
    containerd: Containerd, podman: Podman, manifests: Path, probed: Callable[[int], str], tracefs: None
) -> None:
    web = probed(PERIOD_S)
    watching = Watching("core", [], manifests=[manifests])
    try:
        watching.until(lambda: bool((known := watching.containers.by_id(web)) and known.checks), 30)
        pods = containerd.pods
        for other in (
            lambda: pods.exec_sync(web, *PROBE[:2], PROBE[2] + "; id"),
            lambda: pods.exec_sync(web, "/bin/sh", *PROBE[1:]),
            lambda: pods.exec_sync(web, *PROBE, "more"),
            lambda: pods.exec(web, *PROBE, tty=True),
        ):
            assert entered(watching, web, other) == "cri-exec"
        assert entered(watching, web, lambda: pods.exec_sync(web, *PROBE)) == "probe"
        assert entered(watching, web, lambda: pods.exec_sync(web, *PROBE)) == "cri-exec", "it is not due"
        by_hand = subprocess.Popen(containerd.runc("exec", web, *PROBE))
        assert entered(watching, web, by_hand.wait) == "runc-exec"
    finally:
        watching.close()


def test_a_probe_that_is_due_is_a_probe_each_time(
    containerd: Containerd, podman: Podman, manifests: Path, probed: Callable[[int], str], tracefs: None
) -> None:
    web = probed(1)
    watching = Watching("core", [], manifests=[manifests])
    try:
        watching.until(lambda: bool((known := watching.containers.by_id(web)) and known.checks), 30)
        begin = time.monotonic()
        for tick in range(3):
            watching.pump(max(0.0, begin + tick - time.monotonic()))
            assert entered(watching, web, lambda: containerd.pods.exec_sync(web, *PROBE)) == "probe"
    finally:
        watching.close()


def test_podmans_health_check_is_a_probe(watching: Watching, podman: Podman) -> None:
    podman.stay()
    checked = podman.checked
    watching.until(lambda: bool((known := watching.containers.by_id(checked)) and known.checks))
    assert entered(watching, checked, podman.check) == "probe"
    assert (
        entered(watching, checked, lambda: podman.exec(checked, "/bin/sh", "-c", "id -u; id"))
        == "podman-exec"
    )
    assert entered(watching, checked, lambda: podman.exec(checked, "id", "-u")) == "podman-exec"


def test_podmans_health_check_too_soon_is_an_exec(watching: Watching, podman: Podman) -> None:
    podman.checked = podman.container("--health-cmd", "id -u", "--health-interval", "1h")
    watching.until(lambda: bool((known := watching.containers.by_id(podman.checked)) and known.checks))
    assert entered(watching, podman.checked, podman.check) == "probe"
    assert entered(watching, podman.checked, podman.check) == "podman-exec"


def test_podman_cp_is_no_attempt_in_whichever_thread_it_joins(watching: Watching, podman: Podman) -> None:
    """Every third joins in the first thread of the process, which the kernel shows as a process."""
    copied = podman.container()
    watching.known(copied)
    for _ in range(12):
        watching.during(lambda: podman.copy(copied), lambda: True)
        assert not watching.of("attempt", copied)
