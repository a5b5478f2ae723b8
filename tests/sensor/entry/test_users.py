# SPDX-License-Identifier: Apache-2.0
"""A user's name is true on the side of the door where the process stands, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from sensor.entry.users import INITIAL, Users
from tests.sensor.enrich.proctree import ProcTree

HOST, INSIDE, NOBODY_KNOWS = 1, 2, 3
NAMES = {0: "root", 1000: "jane", 100000: "subordinate"}


class Task:
    """What `Users` looks at of a task."""

    def __init__(self, uid: int, mnt: int, user: int = INITIAL) -> None:
        self.uid = uid
        self.ns: Any = type("Ns", (), {"mnt": mnt, "user": user})


@pytest.fixture
def tree(tmp_path):
    return ProcTree(tmp_path)


@pytest.fixture
def users(tree):
    sides = {HOST: "host", INSIDE: "container"}
    return Users(NAMES.get, lambda mnt: sides.get(mnt, "unknown"), tree.path)


def test_a_process_of_the_host_has_the_hosts_name(users):
    assert [users.of(Task(uid, HOST), 7) for uid in (0, 1000, 5)] == ["root", "jane", None]


@pytest.mark.parametrize("mnt", [INSIDE, NOBODY_KNOWS])
def test_inside_root_alone_has_a_name(users, mnt):
    """The host's uid 1000 is somebody else's in a container, whether that container is known or not."""
    assert [users.of(Task(uid, mnt), 7) for uid in (0, 1000)] == ["root", None]


def test_root_of_a_user_namespace_is_root_also_after_its_process(users, tree):
    """Rootless podman's root is jane on the host; what follows in the namespace need not be there to be asked."""
    tree.add(7, namespaces={"user": "own"})
    (tree.path / "7/uid_map").write_text("0 1000 1\n1 100000 65536\n")
    own = tree.inode("own")
    assert users.of(Task(1000, INSIDE, own), 7) == "root"
    tree.remove(7)
    assert users.of(Task(1000, INSIDE, own), 8) == "root"
    assert users.of(Task(100000, INSIDE, own), 8) is None
    assert users.of(Task(0, INSIDE, own), 8) is None


def test_a_pid_that_is_another_process_by_now_says_nothing(users, tree):
    tree.add(7, namespaces={"user": "another"})
    (tree.path / "7/uid_map").write_text("0 1000 1\n")
    assert users.of(Task(1000, INSIDE, tree.inode("own")), 7) is None


def test_a_client_outside_all_known_containers_is_of_the_host(users):
    """A service with a /tmp of its own is in a mount namespace that nobody knows, and is the host's all the same."""
    assert users.of_client(Task(1000, NOBODY_KNOWS), 7) == "jane"
    assert users.of_client(Task(1000, INSIDE), 7) is None
