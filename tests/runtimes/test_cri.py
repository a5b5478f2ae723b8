# SPDX-License-Identifier: Apache-2.0
"""containerd as the kubelet drives it, as `ctr` does, and what is run by hand below both.

Each exec is one entry of its means into the right container. The start of a pod, its network and a forwarded
port are none.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.probe import BPF_SOURCES
from tests.runtimes.containerd import IMAGE, RUNC, Containerd
from tests.runtimes.cri import Pod
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import root_file_system

pytestmark = pytest.mark.runtimes

OWN = ["ipc", "mnt", "net", "pid", "uts"]


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with Containerd() as daemon:
        yield daemon
    assert not list(daemon.left())
    assert not daemon.folder.exists()


@pytest.fixture(scope="module", params=["core", "bcc"])
def watching(request: pytest.FixtureRequest, containerd: Containerd) -> Iterator[Watching]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching(request.param, [])
    yield watching
    watching.close()


@pytest.fixture(scope="module")
def pod(containerd: Containerd, watching: Watching) -> Iterator[Pod]:
    pod = containerd.pods.run(app="cart")
    yield pod
    containerd.pods.remove(pod)


@pytest.fixture(scope="module")
def web(containerd: Containerd, watching: Watching, pod: Pod) -> str:
    """A container whose start was seen, and of which all is known."""
    made = containerd.pods.start(pod, "web")
    described(watching, made)
    return made


def described(watching: Watching, container: str) -> None:
    watching.until(lambda: bool(watching.of("start", container)))
    start = watching.of("start", container)[0]
    watching.until(lambda: not start["missing"] or bool(updates(watching, start["id"])))


def updates(watching: Watching, target: str) -> list[Any]:
    return [event for event in watching.events if event["kind"] == "update" and event["target"] == target]


def test_exec_sync_is_one_entry_by_cri_exec_that_knows_its_pod(
    containerd: Containerd, watching: Watching, pod: Pod, web: str
) -> None:
    entry, *rest = watching.visit(lambda: containerd.pods.exec_sync(web, "id", "-u"), web)
    assert (entry["means"], entry["verdict"], entry["namespaces"]) == ("cri-exec", "both", OWN)
    assert entry["process"]["argv"] == ["id", "-u"]
    assert entry["process"]["tty"] is None
    assert entry["entered_by"]["comm"] == "runc"
    assert len(entry["exec_id"] or "") == 64
    container = entry["container"]
    assert (container["runtime"], container["name"], container["image"]) == ("cri", "web", IMAGE)
    assert container["pod"] == {"name": pod.name, "namespace": "shop", "uid": container["pod"]["uid"]}
    assert container["labels"]["app"] == "cart"
    assert container["privileged"] is False
    assert not [path for path in entry["missing"] if path.startswith("container.")]
    assert [event["kind"] for event in rest] == ["exit", "session_end"]


@pytest.mark.parametrize("tty", [True, False], ids=["with a terminal", "without"])
def test_a_streamed_exec_is_one_entry_by_cri_exec(
    tty: bool, containerd: Containerd, watching: Watching, web: str
) -> None:
    def act() -> None:
        containerd.pods.exec(web, "sh", tty=tty, stdin=b"id -u\nexit 3\n")

    events = watching.visit(act, web)
    assert (events[0]["means"], events[0]["verdict"]) == ("cri-exec", "both")
    assert events[0]["process"]["tty"] == ("pts/0" if tty else None)
    assert events[0]["process"]["argv"] == ["sh"]
    assert (events[-1]["kind"], events[-1]["code"]) == ("session_end", 3)


def test_an_exec_of_what_is_not_there_is_an_attempt(
    containerd: Containerd, watching: Watching, web: str
) -> None:
    watching.events.clear()
    status = containerd.pods.exec(web, "/bin/nosuch")[1]
    assert status is None or status["status"] == "Failure"
    watching.until(lambda: bool(watching.of("attempt", web)))
    assert watching.of("attempt", web)[0]["means"] == "cri-exec"
    assert not watching.of("entry", web)


def mark(watching: Watching, containerd: Containerd, container: str) -> list[Any]:
    """Enter the container by hand; every entry and attempt up to this one, which comes last."""
    command = ["nsenter", "-t", str(containerd.init_pid(container)), "-m", "/bin/true"]
    subprocess.run(command, check=True)
    watching.until(lambda: any(one["means"] == "ns-join" for one in watching.of("entry", container)))
    return [event for event in watching.events if event["kind"] in {"entry", "attempt"}]


def of_ours(watching: Watching) -> list[Any]:
    """Entries by a descendant of this process: others on this machine may enter containers of theirs."""
    return [
        event
        for event in watching.events
        if event["kind"] == "entry" and any(step["pid"] == os.getpid() for step in event["ancestry"])
    ]


SHAPES: dict[str, dict[str, Any]] = {
    "a pod": {},
    "a shared pid namespace": {"pid": "pod"},
    "the host's pid namespace": {"pid": "node"},
    "the host's network": {"network": "node"},
    "all of the host's": {"network": "node", "pid": "node", "ipc": "node"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pod_starts_without_an_entry_and_each_exec_is_its_own_containers(
    shape: str, containerd: Containerd, watching: Watching
) -> None:
    pods = containerd.pods
    watching.events.clear()
    pod = pods.run(**SHAPES[shape], app=shape)
    try:
        first, second = pods.start(pod, "first"), pods.start(pod, "second")
        ours = {pod.id, first, second}
        # StartContainer answers before the container's program runs: only then is its namespace known.
        watching.until(lambda: all(watching.of("start", container) for container in ours))
        told = [one for one in mark(watching, containerd, second) if one["container"]["id"] in ours]
        assert [(one["kind"], one["means"]) for one in told] == [("entry", "ns-join")]
        assert all(len(watching.of("start", container)) == 1 for container in ours)
        watching.until(lambda: not_pending(watching, first) and not_pending(watching, second))
        for container, name in ((first, "first"), (second, "second")):
            entry = watching.visit(lambda container=container: pods.exec_sync(container, "true"), container)[
                0
            ]
            assert (entry["means"], entry["verdict"]) == ("cri-exec", "both")
            assert entry["container"]["name"] == name
            assert entry["container"]["labels"]["app"] == shape
            assert entry["container"]["pod"]["name"] == pod.name
        watching.events.clear()
    finally:
        pods.remove(pod)
    watching.until(lambda: all(watching.of("stop", container) for container in ours))
    assert not [
        one
        for one in watching.events
        if one["kind"] in {"entry", "attempt"} and one["container"]["id"] in ours
    ]


def not_pending(watching: Watching, container: str) -> bool:
    start = watching.of("start", container)[0]
    return bool(updates(watching, start["id"])) or "pending" not in start["missing"].values()


@pytest.mark.parametrize("kind", ["net", "ipc", "uts"])
def test_a_join_of_what_the_containers_of_a_pod_share_names_none_of_them(
    kind: str, containerd: Containerd, watching: Watching, pod: Pod, web: str
) -> None:
    watching.events.clear()
    target = f"--{kind}=/proc/{containerd.init_pid(web)}/ns/{kind}"
    subprocess.run(["nsenter", target, "/bin/true"], check=True)
    watching.until(lambda: bool(of_ours(watching)))
    (entry,) = of_ours(watching)
    assert (entry["means"], entry["verdict"]) == ("ns-join", "shared")
    assert entry["container"]["id"] is None
    assert entry["container"]["pod"] is None


def test_a_forwarded_port_is_no_entry(containerd: Containerd, watching: Watching, pod: Pod, web: str) -> None:
    server = containerd.pods.start(pod, "server", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/etc")
    watching.until(lambda: bool(watching.of("start", server)))
    watching.events.clear()
    containerd.pods.forward(pod, 8080)
    told = [one for one in mark(watching, containerd, web) if one["container"]["id"] in {pod.id, web, server}]
    assert [one["means"] for one in told] == ["ns-join"]


@pytest.fixture(scope="module")
def task(containerd: Containerd, watching: Watching) -> Iterator[str]:
    """A container of `ctr`, whose id is any name, here one of this run."""
    name = f"t{os.getpid()}-{watching.probe.loader}"
    containerd.ctr("run", "-d", IMAGE, name, "sleep", "3600")
    watching.until(lambda: bool(watching.of("start", name)))
    yield name
    containerd.ctr("task", "kill", "-s", "KILL", name)
    containerd.ctr("task", "rm", "-f", name)
    containerd.ctr("container", "rm", name)


def test_a_start_by_ctr_is_a_start_of_its_name(watching: Watching, task: str) -> None:
    assert watching.of("start", task)[0]["container"]["runtime"] == "containerd"


@pytest.mark.parametrize("terminal", [False, True], ids=["without a terminal", "with a terminal"])
def test_ctr_task_exec_is_one_entry_by_ctr_exec(
    terminal: bool, containerd: Containerd, watching: Watching, task: str
) -> None:
    options = ["-t"] if terminal else []
    command = containerd.client("task", "exec", *options, "--exec-id", "x1", task, "id")
    if terminal:
        command = ["script", "-qec", shlex.join(command), "/dev/null"]
    entry = watching.visit(
        lambda: subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL), task
    )[0]
    assert (entry["means"], entry["verdict"], entry["exec_id"]) == ("ctr-exec", "both", "x1")
    assert entry["container"]["runtime"] == "containerd"
    assert entry["process"]["tty"] == ("pts/0" if terminal else None)


def test_runc_exec_by_hand_into_a_pods_container_is_an_entry_by_runc_exec(
    containerd: Containerd, watching: Watching, web: str
) -> None:
    command = containerd.runc("exec", web, "id")
    entry = watching.visit(lambda: subprocess.run(command, check=True, capture_output=True), web)[0]
    assert (entry["means"], entry["verdict"]) == ("runc-exec", "both")
    assert entry["container"]["pod"]["namespace"] == "shop"
    assert entry["entered_by"]["comm"].startswith("runc")
    assert entry["ancestry"][-1]["pid"] == 1
    assert any(step["pid"] == os.getpid() for step in entry["ancestry"])


@pytest.fixture(scope="module", params=["its usual folder", "a folder of one's own"])
def bundle(
    request: pytest.FixtureRequest,
    watching: Watching,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, list[str]]]:
    """A container that nobody but runc knows: `runc run` on a bundle made by hand; its id, and runc."""
    folder: Path = tmp_path_factory.mktemp("bundle")
    usual = request.param == "its usual folder"
    name = f"hand{os.getpid()}-{watching.probe.loader}"
    runc = [RUNC] if usual else [RUNC, "--root", str(folder / "state")]
    (folder / "rootfs").mkdir()
    subprocess.run(["tar", "-x", "-C", folder / "rootfs"], input=root_file_system(), check=True)
    subprocess.run([*runc, "spec", "--bundle", folder], check=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["process"] |= {"terminal": False, "args": ["sleep", "3600"], "rlimits": []}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    # Detached, runc is gone at once, and with it what it was told.
    detached = ["--detach"] if usual else []
    with subprocess.Popen(
        [*runc, "run", *detached, "--bundle", str(folder), name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        try:
            watching.until(lambda: bool(watching.of("start", name)))
            yield name, runc
        finally:
            subprocess.run([*runc, "delete", "--force", name], check=True)


def test_runc_exec_into_a_container_made_by_hand_is_an_entry_by_runc_exec(
    watching: Watching, bundle: tuple[str, list[str]]
) -> None:
    name, runc = bundle
    command = [*runc, "exec", name, "id"]
    entry = watching.visit(lambda: subprocess.run(command, check=True, capture_output=True), name)[0]
    assert (entry["means"], entry["verdict"]) == ("runc-exec", "both")
    assert entry["container"]["runtime"] == "unknown"


def test_how_it_is_configured_is_told_with_what_no_bundle_has(
    watching: Watching, containerd: Containerd, web: str
) -> None:
    def settings(container: str) -> dict[str, Any]:
        watching.until(lambda: bool(watching.of("configuration", container)), 60)
        told: dict[str, Any] = watching.of("configuration", container)[-1]["settings"]
        return told

    of_pod = settings(web)
    assert of_pod["image_digest"].startswith("sha256:")
    assert [of_pod[name] for name in ("memory", "cpus", "pids", "restart")] == [0, 0, 0, None]
    limits = ["--memory-limit", str(64 << 20), "--cpus", "0.5", "--env", "KEY=hidden"]
    name = f"l{os.getpid()}-{watching.probe.loader}"
    containerd.ctr("run", "-d", *limits, IMAGE, name, "sleep", "600")
    try:
        made = settings(name)
        assert (made["memory"], made["cpus"], made["restart"], made["ports"]) == (
            64 << 20,
            500_000_000,
            "no",
            [],
        )
        assert made["image_digest"].startswith("sha256:")
        assert "KEY" in made["environment"]
        assert "hidden" not in str(watching.of("configuration", name))
    finally:
        containerd.ctr("task", "rm", "-f", name)
        containerd.ctr("containers", "rm", name)
