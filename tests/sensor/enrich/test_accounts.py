# SPDX-License-Identifier: Apache-2.0
"""Names of users come from the host's file, as it is now, and from no server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich import accounts
from sensor.enrich.accounts import Accounts


def test_root_is_root_on_this_machine():
    assert Accounts().name(0) == "root"


def test_a_changed_file_is_read_again(tmp_path):
    file = tmp_path / "passwd"
    file.write_text("app:x:1000:1000::/:/bin/sh\nalias:x:1000:1000::/:/bin/sh\n")
    names = Accounts(file)
    assert names.name(1000) == "app", "the first of several"
    assert names.name(1001) is None
    file.write_text("app:x:1000:1000::/:/bin/sh\nnew:x:1001:1001::/:/bin/sh\n")
    assert names.name(1001) == "new"
    file.unlink()
    assert names.name(1000) is None


@given(st.binary(max_size=300))
def test_no_file_breaks_it(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "passwd"
    file.write_bytes(data + b"\nlast:x:4294967294:0::/:\n")
    assert Accounts(file).name(4294967294) in {"last", None}


def test_a_long_name_is_bounded(tmp_path):
    (tmp_path / "passwd").write_text(f"{'n' * 1000}:x:5:5::/:\n")
    assert Accounts(tmp_path / "passwd").name(5) == "n" * accounts.MAX_NAME
