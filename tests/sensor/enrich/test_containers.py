# SPDX-License-Identifier: Apache-2.0
"""The map of containers never says a wrong id: not after a restart, nor for a reused number, nor by a lie."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sensor.enrich import containers as module
from sensor.enrich import kept
from sensor.enrich.containers import GRACE_NS, Containers
from sensor.enrich.facts import Facts
from sensor.enrich.inside import Own
from tests.sensor.enrich.proctree import ProcTree

A, B, C = "a1" * 32, "0f" * 32, "c3" * 32
SHIM = ("containerd-shim-runc-v2", "-namespace", "moby", "-id", A)


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def known(tree, clock, counts):
    return Containers(tree.path, count=lambda name: counts.update([name]), clock=clock)


def start(containers, tree, pid, container, mnt, *, at=100, cgroup=None, **more):
    """The container's init appears, and the kernel tells of it."""
    began = tree.add(pid, start=at, mnt=mnt, cgroup=cgroup or f"/docker/{container}", nspid=(1,), **more)
    return containers.started(
        pid, began, tree.inode(mnt), container, "docker", {"pid": tree.inode(f"pid-{container}")}
    )


def test_a_start_makes_a_container_with_what_the_kernel_knows(tree, known):
    tree.add(50, "containerd-shim", argv=SHIM)
    found = start(known, tree, 60, A, "m", ppid=50)
    assert found.container == {
        "id": A,
        "name": None,
        "image": None,
        "runtime": "docker",
        "labels": {},
        "pod": None,
        "init_pid": 60,
        "user": None,
        "caps": "00000000a80425fb",
        "privileged": None,
    }
    assert found.missing == {
        f"container.{name}": "pending" for name in ("name", "image", "labels", "user", "privileged")
    }
    assert found.supervisor.pid == 50
    assert known.at_mount(tree.inode("m")) is known.by_id(A) is found
    assert known.sharing("pid", tree.inode(f"pid-{A}")) == [found]


def test_a_look_into_some_mounts_finds_only_there_and_drops_nothing(tree, known):
    tree.add(50, "containerd-shim", argv=SHIM)
    gone = start(known, tree, 60, A, "m", ppid=50)
    tree.remove(60)
    tree.add(70, start=100, mnt="n", cgroup=f"/docker/{B}", nspid=(1,))
    tree.add(80, start=100, mnt="o", cgroup=f"/docker/{C}", nspid=(1,))

    assert [found.id for found in known.find_in({tree.inode("n")})] == [B]
    assert known.by_id(A) is gone, "its stop is still to be read"
    assert known.by_id(C) is None


def test_the_same_start_told_twice_is_one_container(tree, known):
    assert start(known, tree, 60, A, "m") is start(known, tree, 60, A, "m")
    assert len(known) == 1


def test_a_start_whose_process_is_gone_already_still_has_its_id(tree, known):
    found = known.started(60, 1, 4711, A, "docker", {})
    assert found.id == A
    assert found.missing["container.caps"] == "unknown"


def test_a_mount_namespace_of_a_service_is_no_container(tree, known):
    began = tree.add(60, mnt="private", cgroup="/system.slice/web.service")
    assert known.started(60, began, tree.inode("private"), "web.service", "system.slice", {}) is None
    assert known.at_mount(tree.inode("private")) is None


def test_a_stop_takes_the_container_out_by_every_key(tree, known):
    found = start(known, tree, 60, A, "m")
    assert known.stopped(tree.inode("m"), 60) is found
    assert known.at_mount(tree.inode("m")) is None
    assert known.by_id(A) is None
    assert known.sharing("pid", tree.inode(f"pid-{A}")) == []
    assert known.stopped(tree.inode("m"), 60) is None


def test_a_stop_of_another_process_in_the_namespace_changes_nothing(tree, known):
    found = start(known, tree, 60, A, "m")
    assert known.stopped(tree.inode("m"), 61) is None
    assert known.at_mount(tree.inode("m")) is found


def test_a_restart_with_the_same_id_and_the_same_number_is_the_new_one(tree, known):
    """Docker gives the id again, and the kernel the very same inode number (seen on a real host)."""
    old = start(known, tree, 60, A, "m")
    tree.remove(60)
    new = start(known, tree, 61, A, "m", at=200)
    assert new is not old
    assert known.at_mount(tree.inode("m")) is known.by_id(A) is new
    assert known.stopped(tree.inode("m"), 60) is None, "the late end of the old init is not the new one's"
    assert known.by_id(A) is new


def test_a_number_reused_by_another_container_is_the_other_ones(tree, known):
    start(known, tree, 60, A, "m")
    tree.remove(60)
    other = start(known, tree, 70, B, "m", at=300)
    assert known.at_mount(tree.inode("m")) is other
    assert known.by_id(A) is None


def test_a_number_reused_by_a_service_of_the_host_is_no_containers(tree, known):
    start(known, tree, 60, A, "m")
    tree.remove(60)
    began = tree.add(70, mnt="m", cgroup="/system.slice/web.service")
    assert known.started(70, began, tree.inode("m"), "web.service", "system.slice", {}) is None
    assert known.at_mount(tree.inode("m")) is None


def test_a_pid_reused_after_a_lost_stop_is_noticed_by_its_start(tree, known, clock, counts):
    start(known, tree, 60, A, "m")
    tree.add(60, "cron", start=900)
    known.at_mount(tree.inode("m"))
    clock.now += GRACE_NS
    assert known.at_mount(tree.inode("m")) is None
    assert counts["containers.stale"] == 1


def test_events_read_late_still_find_a_container_that_has_just_ended(tree, known, clock):
    found = start(known, tree, 60, A, "m")
    tree.remove(60)
    assert known.at_mount(tree.inode("m")) is found
    clock.now += GRACE_NS - 1
    assert known.at_mount(tree.inode("m")) is found
    clock.now += 1
    assert known.at_mount(tree.inode("m")) is None


def test_an_init_that_moved_to_another_mount_namespace_is_no_witness_for_the_old_one(tree, known, clock):
    start(known, tree, 60, A, "m")
    tree.add(60, mnt="other", cgroup=f"/docker/{A}", nspid=(1,))
    known.at_mount(tree.inode("m"))
    clock.now += GRACE_NS
    assert known.at_mount(tree.inode("m")) is None


def test_a_namespace_made_inside_a_container_is_the_containers_until_its_maker_ends(tree, known, clock):
    found = start(known, tree, 60, A, "m")
    began = tree.add(61, "unshare", start=150, mnt="inner", cgroup=f"/docker/{A}", nspid=(9,))
    assert known.started(61, began, tree.inode("inner"), A, "docker", {}) is None, "no start of a container"
    assert known.at_mount(tree.inode("inner")) is found
    assert known.stopped(tree.inode("inner"), 61) is None
    assert known.at_mount(tree.inode("inner")) is None
    assert known.at_mount(tree.inode("m")) is found


def test_a_process_only_new_to_the_kernels_programs_takes_no_namespace_over(tree, known):
    """After the sensor's start any first exec looks like a start: a container's child's, or a visitor's."""
    found = start(known, tree, 60, A, "m")
    child = tree.add(61, start=150, mnt="m", cgroup=f"/docker/{A}", nspid=(9,))
    assert known.started(61, child, tree.inode("m"), A, "docker", {}) is None
    visitor = tree.add(62, start=160, mnt="m", cgroup="/user.slice")
    assert known.started(62, visitor, tree.inode("m"), "user.slice", "", {}) is None
    assert known.at_mount(tree.inode("m")) is found
    tree.remove(61)
    tree.remove(62)
    assert known.at_mount(tree.inode("m")) is found


def test_nobody_displaces_a_running_container_by_a_cgroup_with_its_name(tree, known):
    victim = start(known, tree, 60, A, "m")
    start(known, tree, 70, B, "n")
    began = tree.add(71, start=400, mnt="evil", cgroup=f"/docker/{B}/docker/{A}", nspid=(1,))
    known.started(71, began, tree.inode("evil"), A, "docker", {})
    assert known.by_id(A) is victim
    assert known.at_mount(tree.inode("m")) is victim
    assert known.of_cgroup(f"/docker/{B}/docker-{A}.scope") == B


def test_sweep_finds_containers_older_than_the_sensor(tree, known):
    tree.add(50, "containerd-shim", argv=SHIM)
    tree.add(60, ppid=50, start=100, mnt="m", cgroup=f"/docker/{A}", nspid=(1,), namespaces={"net": "net-a"})
    tree.add(65, "sh", ppid=50, start=90, mnt="m", cgroup=f"/docker/{A}", nspid=(12,))
    tree.add(66, "unshare", ppid=60, start=300, mnt="inner", cgroup=f"/docker/{A}", nspid=(13,))
    tree.add(70, start=200, mnt="n", cgroup=f"/machine.slice/libpod-{B}.scope", nspid=(1,))
    tree.add(80, "web", mnt="private", cgroup="/system.slice/web.service")
    assert {found.id: found.init_pid for found in known.sweep()} == {A: 60, B: 70}
    assert known.by_id(A).namespaces["net"] == tree.inode("net-a")
    assert known.by_id(A).runtime == "docker"
    assert known.by_id(B).runtime == "podman"
    assert known.at_mount(tree.inode("private")) is None


def test_with_the_hosts_pid_namespace_the_oldest_below_the_shim_is_the_init(tree, known):
    tree.add(50, "containerd-shim", argv=SHIM)
    tree.add(40, "moved", ppid=1, start=10, mnt="elsewhere", cgroup=f"/docker/{A}")
    tree.add(61, "exec", ppid=50, start=900, mnt="m", cgroup=f"/docker/{A}")
    tree.add(60, ppid=50, start=100, mnt="m", cgroup=f"/docker/{A}")
    known.sweep()
    assert known.by_id(A).init_pid == 60


def test_a_sweep_again_adds_what_is_new_drops_what_is_gone_and_keeps_the_rest(tree, known):
    kept, gone = start(known, tree, 60, A, "m"), start(known, tree, 70, B, "n")
    tree.remove(70)
    tree.add(80, start=300, mnt="n", cgroup=f"/docker/{C}", nspid=(1,))
    assert [found.id for found in known.sweep()] == [C]
    assert known.by_id(A) is kept
    assert known.by_id(B) is None
    assert known.at_mount(tree.inode("n")).id == C != gone.id


def test_ctr_and_podman_without_cgroups_are_found_below_their_supervisor(tree, known):
    tree.add(50, "containerd-shim", argv=("containerd-shim-runc-v2", "-namespace", "default", "-id", "web"))
    tree.add(60, ppid=50, mnt="m", cgroup="/default/web", nspid=(1,))
    tree.add(51, "conmon", argv=("conmon", "-c", B, "-u", B, "-n", "db"), uid=1000)
    tree.add(70, ppid=51, mnt="n", cgroup="/", nspid=(1,), uid=1000)
    known.sweep()
    assert (known.by_id("web").runtime, known.by_id(B).runtime) == ("containerd", "podman")
    assert known.of_cgroup("/default/web") == known.of_cgroup("default/web") == "web"
    assert known.of_cgroup("/") is None


def test_a_pods_container_without_a_name_in_its_cgroup_is_found_by_its_bundle(tree, known, tmp_path):
    bundles = tmp_path / "k8s.io"
    for name, pid in ((A, 59), (B, 60)):
        (bundles / name).mkdir(parents=True)
        (bundles / name / "init.pid").write_text(str(pid))
    tree.add(50, "containerd-shim", argv=("containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", A))
    (tree.path / "50" / "cwd").symlink_to(bundles / A)
    tree.add(60, ppid=50, mnt="m", cgroup="/odd", nspid=(1,))
    known.sweep()
    assert known.at_mount(tree.inode("m")).id == B
    assert known.by_id(B).missing["container.pod"] == "pending"


def test_of_cgroup_needs_no_map_for_a_path_that_names_a_container(known):
    assert known.of_cgroup(f"docker/{A}") == A
    assert known.of_cgroup("/system.slice/cron.service") is None


def test_several_containers_in_one_namespace_are_all_told(tree, known):
    for pid, container, mnt in ((60, A, "m"), (70, B, "n")):
        began = tree.add(pid, mnt=mnt, cgroup=f"/docker/{container}", nspid=(1,))
        known.started(pid, began, tree.inode(mnt), container, "docker", {"net": 99})
    assert {found.id for found in known.sharing("net", 99)} == {A, B}


def test_a_namespace_that_the_supervisor_lends_is_not_the_containers(tree, known):
    tree.add(50, "containerd-shim", namespaces={"net": "daemons"}, argv=SHIM)
    own = {"net": "daemons", "pid": "own"}
    began = tree.add(60, ppid=50, mnt="m", cgroup=f"/docker/{A}", nspid=(1,), namespaces=own)
    ns = {kind: tree.inode(name) for kind, name in own.items()}
    found = known.started(60, began, tree.inode("m"), A, "docker", ns)
    assert known.sharing("net", tree.inode("daemons")) == []
    assert known.sharing("pid", tree.inode("own")) == [found]


def test_more_containers_than_the_bound_are_refused_and_counted(tree, known, counts, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONTAINERS", 1)
    start(known, tree, 60, A, "m")
    assert start(known, tree, 70, B, "n") is None
    assert counts["containers.too_many"] == 1


class Life(RuleBasedStateMachine):
    """Containers start, stop, restart and take over each other's numbers, seen or unseen by the sensor.

    Told of everything, the map is right about every number. Not told, it may not know; it is never wrong for
    longer than the grace.
    """

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.tree = ProcTree(Path(self.folder.name))
        self.clock = Clock()
        self.map = Containers(self.tree.path, clock=self.clock)
        self.running: dict[str, tuple[str, int]] = {}
        self.ticks = 1000
        self.pid = 100

    def teardown(self):
        self.folder.cleanup()

    @rule(mnt=st.sampled_from("mno"), container=st.sampled_from([A, B, C]), told=st.booleans())
    def start(self, mnt, container, told):
        if mnt in self.running or container in {running for running, _ in self.running.values()}:
            return
        self.ticks += 7
        self.pid = 100 + (self.pid + 1) % 4  # pids come back, too
        while self.pid in {pid for _, pid in self.running.values()}:
            self.pid = 100 + (self.pid + 1) % 4
        began = self.tree.add(self.pid, start=self.ticks, mnt=mnt, cgroup=f"/docker/{container}", nspid=(1,))
        self.running[mnt] = (container, self.pid)
        if told:
            self.map.started(self.pid, began, self.tree.inode(mnt), container, "docker", {})

    @precondition(lambda self: self.running)
    @rule(data=st.data(), told=st.booleans())
    def stop(self, data, told):
        mnt = data.draw(st.sampled_from(sorted(self.running)))
        _, pid = self.running.pop(mnt)
        self.tree.remove(pid)
        if told:
            self.map.stopped(self.tree.inode(mnt), pid)

    @rule()
    def sweep(self):
        self.map.sweep()
        for mnt, (container, pid) in self.running.items():
            found = self.map.at_mount(self.tree.inode(mnt))
            assert (found.id, found.init_pid) == (container, pid)
        assert len(self.map) == len(self.running)

    @invariant()
    def never_wrong_after_the_grace(self):
        for mnt in "mno":
            self.map.at_mount(self.tree.inode(mnt))
        self.clock.now += GRACE_NS
        for mnt in "mno":
            found = self.map.at_mount(self.tree.inode(mnt))
            if found is not None:
                assert (found.id, found.init_pid) == self.running[mnt]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_a_container_that_is_kept_comes_back_with_its_witnesses_and_stops_by_its_stop_alone(
    tree, known, clock
):
    found = start(known, tree, 60, A, "m")
    found.learn(Facts(name="web", image="i", labels={"a": "b"}, user="app", privileged=False))
    found.checks = (Own(("true",), 5, "/"),)
    rows = [kept.pack(*each) for each in known.changed(everything=True).values() if each]
    assert known.changed() == {}
    tree.remove(60)
    after = Containers(tree.path, clock=clock)
    for row in rows:
        after.recall(*kept.unpack(row))
    after.believes = True
    clock.now += 2 * GRACE_NS
    again = after.at_mount(tree.inode("m"))
    assert again is not None
    assert (again.description, again.checks, again.init_pid) == (found.description, found.checks, 60)
    assert after.stopped(tree.inode("m"), 60) is again
    assert after.at_mount(tree.inode("m")) is None


def test_a_number_given_anew_is_not_believed_to_be_the_one_before(tree, known, clock):
    start(known, tree, 60, A, "m")
    rows = [kept.pack(*each) for each in known.changed(everything=True).values() if each]
    tree.remove(60)
    after = Containers(tree.path, clock=clock)
    for row in rows:
        after.recall(*kept.unpack(row))
    after.believes = True
    second = start(after, tree, 70, B, "m", at=900)
    assert second is not None
    assert after.at_mount(tree.inode("m")) is second
