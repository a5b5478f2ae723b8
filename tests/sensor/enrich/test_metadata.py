# SPDX-License-Identifier: Apache-2.0
"""Containers are completed in the background, from whoever knows, and in the end nothing stays pending."""

from __future__ import annotations

import json
import os
import queue
from collections import Counter

import pytest

from sensor.enrich import metadata as module
from sensor.enrich import sockets
from sensor.enrich.known import Known
from sensor.enrich.metadata import Metadata
from sensor.enrich.supervisor import Supervisor
from tests.sensor.enrich.fake_daemon import FakeDaemon, record, records
from tests.sensor.enrich.test_bundle import CRI, write

A, B, C = "a1" * 32, "0f" * 32, "c3" * 32
WAITS = (0.01, 0.02, 0.04, 0.08)
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def only_these_daemons(monkeypatch):
    """Not those of the machine."""
    monkeypatch.setattr(sockets, "USUAL", ())
    monkeypatch.setattr(module, "DISCOVERY_S", 0.0)


class Bench:
    """A Metadata with its counters, and what it called back with."""

    def __init__(self, tree, *paths, waits=WAITS):
        self.counts = Counter()
        self.done: queue.SimpleQueue[Known] = queue.SimpleQueue()
        self.metadata = Metadata(paths, tree.path, lambda name: self.counts.update([name]), waits)
        self.metadata.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.metadata.close()

    def complete(self, known):
        self.metadata.complete(known, self.done.put)
        return self.done.get(timeout=PATIENCE_S)


@pytest.fixture
def known(tree):
    began = tree.add(60)

    def make(container=A, runtime="docker", **more):
        return Known(container, 60, began, {"mnt": 1}, runtime, "00000000a80425fb", **more)

    return make


@pytest.fixture(autouse=True)
def owned_by_root(monkeypatch, request):
    """Unless a test is about it, whoever runs the tests is as good as root."""
    if "distrust" not in request.node.name and os.getuid() != 0:
        monkeypatch.setattr(Metadata, "_believed", lambda *_: True)


def test_a_daemon_completes_a_container(tree, known, tmp_path):
    one = known()
    with FakeDaemon(tmp_path / "s", records(record(A))) as daemon, Bench(tree, daemon.path) as bench:
        assert bench.complete(one) is one
        assert one.missing == {}
        assert one.container["name"] == "web"
        assert one.container["image"] == "busybox:test"
        assert one.container["labels"] == {"team": "pay"}
        assert (one.container["user"], one.container["privileged"]) == ("", False)
        assert bench.metadata.waiting == 0
        assert bench.counts == {}


def test_a_container_that_is_complete_is_told_at_once_and_not_asked_for(tree, known, tmp_path):
    one = known()
    with FakeDaemon(tmp_path / "s", records(record(A))) as daemon, Bench(tree, daemon.path) as bench:
        bench.complete(one)
        bench.complete(one)
        assert len(daemon.asked) == 1


def test_a_change_told_while_its_daemon_is_away_is_asked_for_until_it_is_back(tree, known, tmp_path):
    one = known()
    with Bench(tree, str(tmp_path / "s"), waits=(0.05,) * 400) as bench:
        with FakeDaemon(tmp_path / "s", records(record(A))):
            bench.complete(one)
        (tmp_path / "s").unlink(missing_ok=True)
        bench.metadata.again(one, bench.done.put)
        with pytest.raises(queue.Empty):
            bench.done.get(timeout=0.05)
        with FakeDaemon(tmp_path / "s", records(record(A, Name="/new"))):
            assert bench.done.get(timeout=PATIENCE_S) is one
    assert one.container["name"] == "new"


def test_the_second_daemon_is_asked_when_the_first_does_not_know(tree, known, tmp_path):
    with (
        FakeDaemon(tmp_path / "1", records()) as first,
        FakeDaemon(tmp_path / "2", records(record(A))) as second,
        Bench(tree, first.path, second.path) as bench,
    ):
        assert bench.complete(known()).container["name"] == "web"


def test_a_daemon_that_comes_later_is_found_and_asked_again(tree, known, tmp_path):
    """The daemon starts after the sensor, on a socket that nobody configured."""
    one = known()
    with Bench(tree, waits=(0.01,) * 500) as bench:
        bench.metadata.complete(one, bench.done.put)
        with FakeDaemon(tmp_path / "odd.sock", records(record(A))) as daemon:
            tree.add(70, "dockerd", argv=("dockerd", "-H", f"unix://{daemon.path}"))
            assert bench.done.get(timeout=PATIENCE_S).container["name"] == "web"


def test_a_hung_daemon_does_not_hold_up_what_others_know(tree, known, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Docker", lambda path: module.docker.Docker(path, timeout_s=0.1))
    with (
        FakeDaemon(tmp_path / "1", records()) as hung,
        FakeDaemon(tmp_path / "2", records(record(A), record(B))) as good,
    ):
        hung.answer = hung.hang
        with Bench(tree, hung.path, good.path) as bench:
            assert bench.complete(known(A)).container["name"] == "web"
            assert bench.complete(known(B)).container["name"] == "web"
            assert len(hung.asked) == 1, "it is left alone after the first time"
            assert bench.counts["metadata.daemon_hung"] == 1
            assert (
                bench.metadata.failing() == [f"{hung.path} does not answer: timed out"]
                or bench.metadata.failing()
            )


def test_with_every_daemon_away_it_ends_as_unknown_after_a_bounded_number_of_tries(tree, known):
    one = known()
    with Bench(tree) as bench:
        bench.complete(one)
        assert set(one.missing.values()) == {"unknown"}
        assert one.container["name"] is None
        assert not one.pending
        assert bench.counts == {"metadata.incomplete": 1}


def test_a_container_that_no_daemon_knows_is_given_up(tree, known, tmp_path):
    with FakeDaemon(tmp_path / "s", records()) as daemon, Bench(tree, daemon.path) as bench:
        bench.complete(known())
        assert len(daemon.asked) == len(WAITS) + 1


def test_a_container_that_has_ended_gets_fewer_tries(tree, known, tmp_path):
    one = known()
    tree.remove(60)
    with FakeDaemon(tmp_path / "s", records()) as daemon, Bench(tree, daemon.path) as bench:
        bench.complete(one)
        assert len(daemon.asked) == len(WAITS) // 2 + 1


def test_the_bundle_gives_what_it_can_while_no_daemon_answers(tree, known, tmp_path):
    write(
        tmp_path / "task" / A, {"process": {"user": {"uid": 7, "gid": 8}}, "linux": {"maskedPaths": ["/x"]}}
    )
    tree.add(50)
    (tree.path / "50" / "cwd").symlink_to(tmp_path / "task" / A)
    one = known(supervisor=Supervisor("docker", A, pid=50))
    with Bench(tree) as bench:
        bench.complete(one)
    assert (one.container["user"], one.container["privileged"]) == ("7:8", False)
    assert one.missing == dict.fromkeys(["container.name", "container.image", "container.labels"], "unknown")


def test_a_kubernetes_container_is_completed_by_its_bundle_without_any_wait(tree, known, tmp_path):
    write(tmp_path / "task" / B, CRI)
    tree.add(50)
    (tree.path / "50" / "cwd").symlink_to(tmp_path / "task" / B)
    one = known(B, "cri", supervisor=Supervisor("cri", A, namespace="k8s.io", pid=50))
    with Bench(tree, waits=(1000.0,)) as bench:
        bench.complete(one)
    assert one.container["pod"]["name"] == "cart-cff7759f9-zswzr"
    assert one.missing == {"container.labels": "unknown"}


def test_an_unknown_runtime_is_named_by_the_daemon_that_knows_the_container(tree, known, tmp_path):
    with FakeDaemon(tmp_path / "s", records(record(A))) as daemon, Bench(tree, daemon.path) as bench:
        assert bench.complete(known(runtime="unknown")).runtime == "docker"


def test_everybody_who_waits_for_a_container_is_told(tree, known, tmp_path):
    one = known()
    with Bench(tree, waits=(0.01,) * 500) as bench:
        bench.metadata.complete(one, bench.done.put)
        bench.metadata.complete(one, bench.done.put)
        with FakeDaemon(tmp_path / "s", records(record(A))) as daemon:
            tree.add(70, "dockerd", argv=("dockerd", "-H", f"unix://{daemon.path}"))
            assert [bench.done.get(timeout=PATIENCE_S) for _ in range(2)] == [one, one]


def test_more_waiting_than_the_bound_are_settled_at_once_and_counted(tree, known, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    bench = Bench(tree, waits=(1000.0,))
    with bench:
        bench.metadata.complete(known(A), bench.done.put)
        settled = bench.complete(known(B))
        assert (settled.id, settled.pending) == (B, False)
        assert bench.counts["metadata.too_many"] == 1


def test_a_users_own_daemon_is_distrusted_about_the_containers_of_others(tree, known, tmp_path, monkeypatch):
    """Anyone may listen on a socket and say of root's container what he likes."""
    monkeypatch.setattr(module.docker.daemon, "peer_uid", lambda _: 1000)
    his, roots = Supervisor("podman", B, pid=50, uid=1000), Supervisor("docker", A, pid=51, uid=0)
    answer = records(record(A), record(B), record(C))
    with FakeDaemon(tmp_path / "s", answer) as daemon, Bench(tree, daemon.path) as bench:
        assert bench.complete(known(A, supervisor=roots)).container["name"] is None
        assert bench.complete(known(C)).container["name"] is None
        assert bench.counts["metadata.daemon_distrusted"] >= 2
        assert bench.complete(known(B, "podman", supervisor=his)).container["name"] == "web"


def test_hostile_answers_do_not_end_the_worker(tree, known, tmp_path):
    odd = record(A, Name=7, Config=[], HostConfig={"Privileged": "yes"})
    deep = {**record(B), "Config": {"Labels": {"a\ud800": "\x1b[2J" * 100, "n": 1}}}
    with FakeDaemon(tmp_path / "s", records(odd, deep)) as daemon, Bench(tree, daemon.path) as bench:
        assert set(bench.complete(known(A)).missing.values()) == {"unknown"}
        assert json.dumps(bench.complete(known(B)).container["labels"])


def test_close_leaves_what_waits_pending(tree, known):
    one = known()
    bench = Bench(tree, waits=(1000.0,))
    bench.metadata.complete(one, bench.done.put)
    bench.metadata.close()
    assert one.pending
    assert bench.done.empty()
