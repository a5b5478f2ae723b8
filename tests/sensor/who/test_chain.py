# SPDX-License-Identifier: Apache-2.0
"""What the processes above one say of it, and what nobody can make them say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sensor.who.chain import Link, session_of, unit_of


def chain(*steps):
    return [Link(1000 - index, 1, uid, comm) for index, (comm, uid) in enumerate(steps)]


SSH = (("sshd", 1000), ("sshd", 0), ("sshd", 0), ("systemd", 0))


def test_a_session_by_ssh_is_opened_by_the_sshd_that_runs_as_root():
    found = session_of(chain(("docker", 1000), ("bash", 1000), *SSH))
    assert (found.opener, found.by.pid, found.uid, found.via) == ("ssh", 997, 1000, ())


def test_what_stands_between_is_told_the_nearest_first():
    found = session_of(chain(("nsenter", 0), ("su", 0), ("bash", 0), ("sudo", 0), ("bash", 1000), *SSH))
    assert (found.opener, found.via, found.uid) == ("ssh", ("su", "sudo"), 1000)


def test_a_tmux_that_left_the_tree_is_told_and_its_opener_is_not_known_from_the_chain():
    found = session_of(chain(("docker", 1000), ("bash", 1000), ("tmux: server", 1000), ("systemd", 0)))
    assert (found.opener, found.by, found.via) == ("unknown", None, ("tmux",))


def test_cron_and_console_and_a_users_manager_open_sessions():
    assert session_of(chain(("docker", 0), ("sh", 0), ("cron", 0), ("cron", 0))).opener == "cron"
    assert session_of(chain(("docker", 1000), ("bash", 1000), ("login", 0))).opener == "console"
    assert session_of(chain(("docker", 1000), ("systemd", 1000), ("systemd", 0))).opener == "user-manager"


def test_a_root_session_is_for_root():
    assert session_of(chain(("docker", 0), ("bash", 0), ("sshd", 0), ("sshd", 0))).uid == 0


@given(st.lists(st.tuples(st.sampled_from(["sshd", "cron", "login", "sudo", "su", "x"]), st.integers(1, 9))))
def test_no_name_of_a_process_without_root_opens_a_session_or_changes_a_user(steps):
    found = session_of(chain(*steps))
    assert (found.opener, found.via) == ("unknown", ())


def test_a_service_is_known_by_its_cgroup_and_a_user_manager_is_none():
    assert unit_of(["1:cpu:/", "0::/system.slice/backup.service"]) == "backup.service"
    assert unit_of(["0::/system.slice/a.service/sub.scope"]) == "a.service"
    assert unit_of(["0::/user.slice/user-1000.slice/user@1000.service/init.scope"]) is None
    assert unit_of(["0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service"]) == "x.service"
    assert unit_of(["0::/user.slice/user-1000.slice/session-3.scope"]) is None
    assert unit_of([]) is None
