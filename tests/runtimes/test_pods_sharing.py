# SPDX-License-Identifier: Apache-2.0
"""Of a pod's containers, which share its namespaces, the one that is entered is told, or none: never the other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from sensor.probe import BPF_SOURCES
from tests.runtimes.containerd import Containerd
from tests.runtimes.cri import Pod
from tests.runtimes.watching import Watching

pytestmark = pytest.mark.runtimes


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with Containerd() as daemon:
        yield daemon


@pytest.fixture(scope="module", params=["core", "bcc"])
def watching(request: pytest.FixtureRequest, containerd: Containerd) -> Iterator[Watching]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching(request.param, [])
    yield watching
    watching.close()


@pytest.fixture(
    scope="module", params=["container", "pod"], ids=["a pid namespace each", "one pid namespace"]
)
def pod(request: pytest.FixtureRequest, containerd: Containerd, watching: Watching) -> Iterator[Pod]:
    pod = containerd.pods.run(pid=request.param)
    yield pod
    containerd.pods.remove(pod)


@pytest.fixture(scope="module")
def both(containerd: Containerd, watching: Watching, pod: Pod) -> tuple[str, str]:
    first, second = (containerd.pods.start(pod, name) for name in ("web", "side"))
    watching.until(lambda: bool(watching.of("start", first) and watching.of("start", second)))
    return first, second


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_each_of_a_pods_containers_is_entered_by_its_own_name(
    which: int, containerd: Containerd, watching: Watching, both: tuple[str, str]
) -> None:
    mine, other = both[which], both[1 - which]
    entry = watching.visit(lambda: containerd.pods.exec_sync(mine, "id"), mine)[0]
    assert (entry["means"], entry["ns_container"], entry["cgroup_container"]) == ("cri-exec", mine, mine)
    assert not _told(watching, other)
    pid = str(containerd.init_pid(mine))
    for kinds in (["-a"], ["-m", "-n"], ["-m", "-p", "-i"]):
        line = ["nsenter", "-t", pid, *kinds, "/bin/busybox", "true"]
        entry = watching.visit(lambda: subprocess.run(line, check=True), mine)[0]  # noqa: B023
        assert (entry["means"], entry["verdict"], entry["ns_container"]) == ("ns-join", "ns-only", mine)
        assert not _told(watching, other)


@pytest.mark.parametrize("kind", ["net", "ipc", "pid"])
def test_who_joins_what_a_pods_containers_share_is_told_and_none_of_them_is_named(
    kind: str, containerd: Containerd, watching: Watching, pod: Pod, both: tuple[str, str]
) -> None:
    if kind == "pid" and pod.namespaces[2] != 0:
        kind = "uts"  # each has a pid namespace of its own; that of the host's name is the pod's
    pids = [str(containerd.init_pid(each)) for each in both]
    for pid in pids:
        line = ["nsenter", "-t", pid, f"--{kind}", "true"]
        watching.during(lambda: subprocess.run(line, check=True), lambda: bool(_shared(watching)))  # noqa: B023
        (entry,) = _shared(watching)
        assert (entry["means"], entry["namespaces"], entry["container"]["id"]) == ("ns-join", [kind], None)
        assert not any(_told(watching, each) for each in both)


def _shared(watching: Watching) -> list[Any]:
    return [event for event in watching.events if event["kind"] == "entry" and event["verdict"] == "shared"]


def _told(watching: Watching, container: str) -> list[Any]:
    return watching.of("entry", container) + watching.of("attempt", container)
