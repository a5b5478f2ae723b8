# SPDX-License-Identifier: Apache-2.0
"""Containers of a real Docker daemon are known by namespace and cgroup, completed, and forgotten."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from sensor.enrich import procfs, sockets
from sensor.enrich.containers import Containers
from sensor.enrich.daemon import HungError
from sensor.enrich.docker import Docker
from sensor.enrich.metadata import Metadata
from tests.runtimes.conftest import IMAGE
from vagrant.local.dockerd import Dockerd

PATIENCE_S = 60
DOCKER_CAPS = "00000000a80425fb"


@pytest.fixture
def known():
    return Containers()


@pytest.fixture
def complete():
    """A function that completes a container and returns it."""
    made: list[Metadata] = []

    def run(one, configured=(), **options):
        worker = Metadata(configured, **options)
        made.append(worker)
        worker.start()
        done = queue.SimpleQueue()
        worker.complete(one, done.put)
        return done.get(timeout=PATIENCE_S)

    yield run
    for worker in made:
        worker.close()


def told(containers, dockerd, container):
    """Tell of a container's start as the kernel's event would."""
    pid = dockerd.init_pid(container)
    namespaces = procfs.namespaces(pid)
    return containers.started(pid, procfs.stat_start(pid), namespaces["mnt"], container, "docker", namespaces)


def same(one, other):
    return (one.id, one.init_pid, one.mnt, one.runtime) == (
        other.id,
        other.init_pid,
        other.mnt,
        other.runtime,
    )


def test_a_sweep_finds_it_and_the_daemon_completes_it(dockerd, container, known, complete):
    container_id = container(options=["--label", "team=pay", "--user", "1000:1000"])
    known.sweep()
    one = known.by_id(container_id)
    assert (one.init_pid, one.runtime) == (dockerd.init_pid(container_id), "docker")
    assert known.at_mount(Path(f"/proc/{one.init_pid}/ns/mnt").stat().st_ino) is one
    assert one.supervisor.container == container_id
    complete(one, [str(dockerd.socket)])
    assert one.missing == {}
    inspected = json.loads(dockerd.docker("inspect", container_id))[0]["NetworkSettings"]["Networks"]
    assert one.container == {
        "id": container_id,
        "addresses": [each["IPAddress"] for each in inspected.values()],
        "name": dockerd.docker("inspect", "--format", "{{.Name}}", container_id).removeprefix("/"),
        "image": IMAGE,
        "runtime": "docker",
        "labels": {"team": "pay", "from": "import"},
        "pod": None,
        "init_pid": one.init_pid,
        "user": "1000:1000",
        "caps": DOCKER_CAPS,
        "privileged": False,
    }


def test_capabilities_are_the_bound_that_the_container_was_given(dockerd, container, known):
    container_id = container(options=["--cap-drop", "ALL", "--cap-add", "NET_RAW"])
    assert told(known, dockerd, container_id).container["caps"] == f"{1 << 13:016x}"


def test_a_daemon_on_a_socket_that_nobody_configured_is_found(dockerd, container, known, complete):
    one = told(known, dockerd, container())
    assert str(dockerd.socket) in sockets.discover()
    assert complete(one).container["image"] == IMAGE


def test_a_start_and_a_sweep_agree(dockerd, container, known):
    container_id = container()
    swept = Containers()
    swept.sweep()
    assert same(told(known, dockerd, container_id), swept.by_id(container_id))


def test_an_exec_that_was_there_before_the_sensor_is_not_taken_for_the_init(dockerd, container, known):
    container_id = container()
    dockerd.exec(container_id, "sleep", "601", options=["-d"])
    known.sweep()
    assert known.by_id(container_id).init_pid == dockerd.init_pid(container_id)


def test_a_restart_keeps_the_id_and_is_another_container_in_the_map(dockerd, container, known):
    container_id = container()
    before = told(known, dockerd, container_id)
    dockerd.docker("restart", "-t", "0", container_id)
    after = told(known, dockerd, container_id)
    assert after is not before
    assert known.by_id(container_id) is known.at_mount(after.mnt) is after
    assert known.stopped(before.mnt, before.init_pid) is None or before.mnt != after.mnt
    assert known.by_id(container_id) is after


def test_a_restart_that_nobody_told_of_is_put_right_by_a_sweep(dockerd, container, known):
    container_id = container()
    told(known, dockerd, container_id)
    dockerd.docker("restart", "-t", "0", container_id)
    known.sweep()
    assert known.by_id(container_id).init_pid == dockerd.init_pid(container_id)
    assert known.at_mount(procfs.namespace(dockerd.init_pid(container_id), "mnt")).id == container_id


def test_containers_after_each_other_reuse_numbers_and_are_never_confused(dockerd, container, known):
    seen = Counter()
    for _ in range(30):
        container_id = container()
        one = told(known, dockerd, container_id)
        seen[one.mnt] += 1
        assert known.at_mount(one.mnt).id == container_id
        dockerd.docker("rm", "-f", container_id)
        if len(seen) < seen.total():
            break
    assert max(seen.values()) > 1, "the kernel gives a number out again, or this test shows nothing"


def test_a_stopped_container_is_forgotten(dockerd, container, known):
    container_id = container()
    one = told(known, dockerd, container_id)
    dockerd.docker("stop", "-t", "0", container_id)
    assert known.stopped(one.mnt, one.init_pid) is one
    known.sweep()
    assert known.by_id(container_id) is None


def test_with_the_hosts_pid_namespace_the_init_is_still_the_init(dockerd, container, known):
    container_id = container(options=["--pid", "host"])
    dockerd.exec(container_id, "sleep", "602", options=["-d"])
    known.sweep()
    one = known.by_id(container_id)
    assert one.init_pid == dockerd.init_pid(container_id)
    pid = procfs.namespace(os.getpid(), "pid")
    assert one.namespaces["pid"] == pid
    assert one not in known.sharing("pid", pid), "it is the host's, whoever else is in it"


def test_the_daemons_own_network_is_not_the_containers_that_it_lends_it_to(dockerd, container, known):
    one = told(known, dockerd, container(options=["--network", "host"]))
    daemons = procfs.namespace(dockerd.pid, "net")
    assert daemons not in {None, procfs.namespace(os.getpid(), "net")}
    assert one.namespaces["net"] == daemons
    assert known.sharing("net", daemons) == []


def test_a_shared_network_namespace_tells_both_containers(dockerd, container, known):
    first = container()
    second = container(options=["--network", f"container:{first}"])
    known.sweep()
    net = known.by_id(first).namespaces["net"]
    assert {one.id for one in known.sharing("net", net)} == {first, second}


def test_a_name_given_by_the_cgroup_parent_is_no_hindrance(dockerd, container, known, complete):
    container_id = container(options=["--cgroup-parent", "/nsentry-test"])
    known.sweep()
    one = known.by_id(container_id)
    assert one.runtime == "docker", "the shim tells it where the path does not"
    assert known.of_cgroup(f"nsentry-test/{container_id}") == container_id


def test_without_a_daemon_the_bundle_gives_user_and_privileges(
    dockerd, container, known, complete, monkeypatch
):
    monkeypatch.setattr(sockets, "discover", lambda *_: [])
    one = told(known, dockerd, container(options=["--user", "1000:1000"]))
    complete(one, waits=(0.01,))
    assert (one.container["user"], one.container["privileged"]) == ("1000:1000", False)
    assert one.missing == dict.fromkeys(["container.name", "container.image", "container.labels"], "unknown")


def test_a_stopped_daemon_hangs_and_a_continued_one_completes():
    """SIGSTOP is what a daemon in trouble looks like: it accepts, and says nothing."""
    with Dockerd() as daemon:
        daemon.image(IMAGE)
        container_id = daemon.run(IMAGE, "sleep", "600", name="web")
        known = Containers()
        one = told(known, daemon, container_id)
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            with pytest.raises(HungError):
                Docker(str(daemon.socket), timeout_s=0.2).inspect(container_id)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert Docker(str(daemon.socket), timeout_s=PATIENCE_S).inspect(container_id)["Name"] == "/web"
        assert one.pending


def test_a_daemon_that_starts_after_the_sensor_completes_what_it_starts(complete):
    counts = Counter()
    worker = Metadata((), count=lambda name: counts.update([name]))
    worker.start()
    done, known = queue.SimpleQueue(), Containers()
    try:
        with Dockerd() as late:
            late.image(IMAGE)
            worker.complete(told(known, late, late.run(IMAGE, "sleep", "600", name="late")), done.put)
            assert done.get(timeout=PATIENCE_S).container["name"] == "late"
    finally:
        worker.close()


def test_a_hundred_short_containers_are_each_known_by_the_kernels_word_alone(dockerd, known):
    """`docker run --rm true` is over before /proc can be read: the cgroup's name in the event has to do."""
    ids = [f"{number:064x}" for number in range(100)]
    for number, container_id in enumerate(ids):
        assert known.started(2**22 + 1, number, 10**6 + number, container_id, "docker", {}).id == container_id
    assert len(known) == 100
    known.sweep()
    assert not any(known.by_id(container_id) for container_id in ids)


def test_sweeps_lookups_and_starts_from_several_threads_agree(dockerd, container, known):
    ids = [container() for _ in range(3)]
    mounts = [procfs.namespace(dockerd.init_pid(one), "mnt") for one in ids]
    failures: list[str] = []

    def look():
        for _ in range(30):
            known.sweep()
            failures.extend(
                one
                for one, mnt in zip(ids, mounts, strict=True)
                if known.at_mount(mnt) is not known.by_id(one)
            )

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_systems_mount_namespace_is_no_container(known):
    command = ["unshare", "--mount", "sleep", "603"]
    with subprocess.Popen(command) as process:
        while procfs.comm(process.pid) != "sleep":
            os.sched_yield()
        mnt = procfs.namespace(process.pid, "mnt")
        known.sweep()
        assert known.at_mount(mnt) is None
        assert known.started(process.pid, procfs.stat_start(process.pid), mnt, "", "", {}) is None
        process.kill()
