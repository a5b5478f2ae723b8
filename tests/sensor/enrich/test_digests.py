# SPDX-License-Identifier: Apache-2.0
"""Digests of executables: of the very file that ran, or unknown; bounded, and never out of the container's root."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter

import pytest

from sensor.enrich import digests
from sensor.enrich.digests import Asked, Digests, below

GONE = 2**22 + 1
"""A pid above all that there are."""


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def reader(tmp_path, counts):
    """Reads below a root of its own, as if it were that of a container's first process."""
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "root" / "bin").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "root").symlink_to(tmp_path / "root")
    return Digests(lambda name: counts.update([name]), tmp_path / "proc")


@pytest.fixture
def ran(tmp_path):
    """A program that ran, and is gone."""

    def make(content=b"program", **other):
        file = tmp_path / "root" / "bin" / "it"
        file.write_bytes(content)
        known = {"inode": file.stat().st_ino, "at": time.time_ns() + 10**9, **other}
        return Asked(b"key", GONE, 1, "/bin/it", 7, **known)

    return make


def test_of_a_process_that_is_gone_the_file_at_its_path_is_read(reader, ran, counts):
    assert reader.look(ran()) == hashlib.sha256(b"program").hexdigest()
    assert counts == {"digest.read": 1}


def test_a_file_that_is_run_again_is_read_once(reader, ran, counts):
    asked = ran()
    assert len({reader.look(asked) for _ in range(5)}) == 1
    assert counts["digest.read"] == 1


@pytest.mark.parametrize(
    ("other", "counted"), [({"inode": 1}, "digest.unreadable"), ({"at": 1}, "digest.changed")]
)
def test_another_file_in_its_place_and_one_that_was_changed_since_are_unknown(
    reader, ran, counts, other, counted
):
    assert reader.look(ran(**other)) is None
    assert counts == {counted: 1}


def test_a_file_that_is_too_large_is_unknown_and_counted(reader, ran, counts, monkeypatch):
    monkeypatch.setattr(digests, "MAX_SIZE", 3)
    assert reader.look(ran()) is None
    assert counts == {"digest.too_large": 1}


def test_what_is_too_much_at_once_is_counted(counts, monkeypatch):
    monkeypatch.setattr(digests, "MAX_WAITING", 2)
    reader = Digests(lambda name: counts.update([name]))
    asked = Asked(b"key", GONE, 1, "/bin/it", 7, inode=1, at=1)
    assert [reader.ask(asked) for _ in range(3)] == [True, True, False]
    assert counts == {"digest.too_many": 1}


def test_no_link_of_a_container_leads_out_of_its_root(tmp_path):
    """Neither a folder nor the file itself; and a pipe does not hold the reader up."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("of the host")
    (root / "folder").symlink_to(tmp_path)
    (root / "file").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "pipe")
    for path in ("/folder/secret", "/file", "/../secret"):
        with pytest.raises(OSError, match=r"."):
            below(root, path)
    os.close(below(root, "/pipe"))
