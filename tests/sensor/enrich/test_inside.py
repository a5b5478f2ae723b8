# SPDX-License-Identifier: Apache-2.0
"""A container's own files say who its users are, and lead nobody out of its root."""

import os

import pytest

from sensor.enrich.facts import Check
from sensor.enrich.inside import Own, absent, folder, own, uid


@pytest.fixture
def root(tmp_path):
    """The root of process 7, whose uid 0 is the host's 100000."""
    made = tmp_path / "7" / "root"
    (made / "etc").mkdir(parents=True)
    (made / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")
    (tmp_path / "7/uid_map").write_text("         0     100000      65536\n")
    return made


@pytest.mark.parametrize(
    ("user", "expected"),
    [("", 100000), ("root", 100000), ("app", 101000), ("app:x", 101000), ("5:6", 100005), ("99999", None),
     ("no", None)],
)  # fmt: skip
def test_a_user_is_the_hosts_uid(root, tmp_path, user, expected):
    assert uid(user, 7, tmp_path) == expected


def test_links_stay_inside(root, tmp_path):
    (root / "run").mkdir()
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    (root / "loop").symlink_to("loop")
    (root / "out").symlink_to("../../../../etc")
    assert own(Check(("a",), "app", "/var/run/x"), 7, tmp_path) == Own(("a",), 101000, "/run/x", absent=True)
    assert folder("/loop", 7, tmp_path) == "/loop"
    assert folder("/out/a", 7, tmp_path) == "/etc/a"


def test_a_program_is_absent_where_neither_its_path_nor_its_name_leads_to_it(root, tmp_path):
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/curl").touch()
    programs = ["curl", "/bin/curl", "/usr/bin/curl", "wget", "/curl", "usr/bin/curl"]
    assert [each for each in programs if absent(each, 7, tmp_path)] == ["wget", "/curl"]
    assert not absent("curl", 8, tmp_path), "nothing is said of a container that is gone"


def test_a_pipe_in_place_of_the_users_is_not_waited_for(root, tmp_path):
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    assert uid("app", 7, tmp_path) is None
