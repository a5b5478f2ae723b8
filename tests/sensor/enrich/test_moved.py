# SPDX-License-Identifier: Apache-2.0
"""A container's first process may leave the mount namespace that it began in: the container goes with it."""

from __future__ import annotations

from sensor.enrich.containers import GRACE_NS
from tests.sensor.enrich.test_containers import A, clock, counts, known, start

__all__ = ["clock", "counts", "known"]


def test_a_first_process_that_makes_itself_another_mount_namespace_takes_its_container_along(
    tree, known, clock
):
    moved = []
    known.moved = moved.append
    found = start(known, tree, 60, A, "m")
    began = tree.add(60, start=100, mnt="n", cgroup=f"/docker/{A}", nspid=(1,))
    assert known.started(60, began, tree.inode("n"), A, "docker", {}) is None, "it has started before"
    assert moved == [found]
    assert known.at_mount(tree.inode("n")) is found
    clock.now = GRACE_NS * 2
    assert known.at_mount(tree.inode("m")) is None, "the number may be another's"
    assert known.by_id(A) is found
    assert known.stopped(tree.inode("n"), 60) is found
    assert known.at_mount(tree.inode("n")) is None


def test_a_first_process_that_moved_without_a_program_is_found_by_who_visits_it(tree, known):
    found = start(known, tree, 60, A, "m")
    tree.add(60, start=100, mnt="n", cgroup=f"/docker/{A}", nspid=(1,))
    assert known.at_mount(tree.inode("m")) is None, "no grace: it is there no more"
    assert known.waiting_at(tree.inode("n")) is found
    assert known.at_mount(tree.inode("n")) is found
    assert known.stopped(tree.inode("m"), 60) is found, "the kernel knows it by the number that it had"
