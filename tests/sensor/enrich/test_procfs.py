# SPDX-License-Identifier: Apache-2.0
"""Readers of /proc agree with the kernel about a real process, and shrug at one that is gone."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor import wire
from sensor.enrich import procfs

GONE = 2**22 + 1  # above the kernel's largest pid_max


@pytest.fixture
def sleeper(tmp_path):
    """A real process with an argument that is no UTF-8 and one that is empty."""
    command = [b"/bin/sleep", b"60", b"0", b"0.0"]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        while procfs.comm(process.pid) != "sleep":
            os.sched_yield()
        yield process
        process.kill()


def test_namespaces_are_those_of_nsfs():
    found = procfs.namespaces(os.getpid())
    assert set(wire.NAMESPACES) <= set(found)
    assert str(Path("/proc/self/ns/mnt").readlink()) == f"mnt:[{found['mnt']}]"
    assert procfs.namespaces(os.getpid(), tid=os.getpid()) == found
    assert procfs.namespace(os.getpid(), "mnt") == found["mnt"]


def test_stat_and_status_agree_with_psutil(sleeper):
    stat, status, other = procfs.stat(sleeper.pid), procfs.status(sleeper.pid), psutil.Process(sleeper.pid)
    assert stat.ppid == status.ppid == other.ppid() == os.getpid() == procfs.parent(sleeper.pid)
    assert stat.comm == "sleep" == other.name()
    assert status.uid == other.uids().effective
    assert status.nspid[0] == sleeper.pid
    assert len(status.caps) == len(status.caps_bounding) == 16
    # psutil reckons from the same field, through the time of boot.
    assert stat.start / 1e9 == pytest.approx(other.create_time() - psutil.boot_time(), abs=1.0)


def test_paths_and_arguments(sleeper, tmp_path):
    assert procfs.exe(sleeper.pid) == os.path.realpath("/bin/sleep")
    assert procfs.cwd(sleeper.pid) == str(tmp_path)
    assert procfs.cmdline(sleeper.pid) == (["/bin/sleep", "60", "0", "0.0"], False)


def test_start_in_ticks_is_the_same_process_as_the_kernels_nanoseconds(sleeper):
    start = procfs.stat_start(sleeper.pid)
    assert start <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert procfs.same_start(start + procfs.TICK_NS - 1, start)
    assert not procfs.same_start(start + procfs.TICK_NS, start)


@pytest.mark.parametrize(
    "reader",
    [
        procfs.namespaces,
        procfs.stat,
        procfs.stat_start,
        procfs.status,
        procfs.parent,
        procfs.comm,
        procfs.cmdline,
        procfs.exe,
        procfs.cwd,
        procfs.login,
    ],
)
def test_a_process_that_is_gone_is_none(reader):
    assert reader(GONE) is None


def test_cgroups_of_a_process_that_is_gone_are_none():
    assert procfs.cgroups(GONE) == []


def test_a_zombie_is_told_by_empty_arguments():
    process = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.cmdline(process.pid) == ([], False)
    assert procfs.exe(process.pid) is None
    assert procfs.stat(process.pid).comm == "true"
    process.wait()


def test_every_process_of_this_machine_can_be_read():
    for pid in procfs.pids():
        procfs.namespaces(pid), procfs.stat(pid), procfs.status(pid), procfs.cmdline(pid), procfs.login(pid)


def test_a_name_with_brackets_and_blanks_does_not_shift_the_fields(tree):
    tree.add(7, ") S 1 (evil", ppid=5, start=1234)
    assert procfs.stat(7, tree.path) == procfs.Stat(") S 1 (evil", 5, 7, None, 1234 * procfs.TICK_NS)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (0, None),
        (34816, "pts/0"),  # major 136, minor 0: a container's first terminal
        (34817, "pts/1"),
        (35072, "pts/256"),
        (1025, "tty1"),
        (1088, "ttyS0"),
        (1280, "5:0"),
    ],
)
def test_terminals_by_their_number(device, name):
    assert procfs.terminal(device) == name


@pytest.mark.parametrize("major", [0, 5, 136, 4095, 4096, 2**31, 2**32 - 1])
def test_numbers_that_no_terminal_has_raise_nothing(major):
    """The kernel hands over 32 bits of each; a read that raced with the terminal's end may give any."""
    assert procfs.terminal_of(major, 2**32 - 1) != ""
    assert procfs.terminal_of(2**31, 7) == "2147483648:7"


def test_login_without_a_login_is_none(tree):
    tree.add(7)
    (tree.path / "7" / "loginuid").write_text("4294967295")
    assert procfs.login(7, tree.path) is None
    (tree.path / "7" / "loginuid").write_text("1000")
    (tree.path / "7" / "sessionid").write_text("3\n")
    assert procfs.login(7, tree.path) == {"uid": 1000, "user": None, "session": 3}
    (tree.path / "7" / "sessionid").write_text("4294967295")
    assert procfs.login(7, tree.path) == {"uid": 1000, "user": None, "session": None}


@given(st.lists(st.binary(max_size=20).map(lambda one: one.replace(b"\0", b"")), max_size=20))
def test_arguments_come_back_one_by_one(arguments):
    data = b"".join(argument + b"\0" for argument in arguments)
    split, cut = procfs.split_argv(data)
    assert len(split) == len(arguments)
    assert not cut


def test_a_command_line_beyond_the_bounds_is_cut_and_says_so():
    assert procfs.split_argv(b"a" * 100_000 + b"\0") == (["a" * wire.MAX_TEXT], True)
    assert procfs.split_argv(b"a" * (wire.MAX_TEXT + 1) + b"\0") == (["a" * wire.MAX_TEXT], True)
    assert procfs.split_argv(b"a" * wire.MAX_TEXT + b"\0") == (["a" * wire.MAX_TEXT], False)
    assert procfs.split_argv(b"a\0" * 1000) == (["a"] * wire.MAX_ARGS, True)


def test_arguments_that_a_process_wrote_over_itself_are_read_as_they_are():
    assert procfs.split_argv(b"nginx: worker process") == (["nginx: worker process"], False)
    assert procfs.split_argv(b"a\0\0b\0") == (["a", "", "b"], False)
    assert procfs.split_argv(b"") == ([], False)
