# SPDX-License-Identifier: Apache-2.0
"""A daemon is known by the file that runs, for anybody can give his process a daemon's name."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sensor.enrich import procfs
from sensor.entry.daemons import copies, is_daemon
from sensor.probe.layout import Step
from tests.sensor.entry.test_track import INSIDE, setns


@contextmanager
def running(file: Path) -> Iterator[Step]:
    """A process of that file, as the kernel names it."""
    with subprocess.Popen([file, "60"]) as process:
        start = procfs.stat_start(process.pid)
        assert start is not None
        yield Step(start, process.pid, 0, 0, 0, file.name)
        process.kill()


def test_a_process_that_only_calls_itself_a_daemon_is_none(tmp_path: Path) -> None:
    forged = tmp_path / "dockerd"
    shutil.copy("/bin/sleep", forged)
    with running(forged) as step:
        assert not is_daemon(step)
        assert is_daemon(step, None)  # in a replay the name is all there is


def test_the_name_of_another_installed_program_does_not_help(tmp_path: Path) -> None:
    with running(Path("/bin/sleep")) as step:
        assert not is_daemon(Step(step.start, step.pid, 0, 0, 0, "dockerd"))


def test_a_process_that_is_gone_is_no_daemon() -> None:
    assert not is_daemon(Step(1, os.getpid(), 0, 0, 0, "dockerd"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a program")
def test_an_installed_daemon_is_one(request: pytest.FixtureRequest) -> None:
    folder = Path("/usr/local/lib/nsentry-test")
    folder.mkdir()
    request.addfinalizer(lambda: shutil.rmtree(folder))
    shutil.copy("/bin/sleep", folder / "dockerd")
    with running(folder / "dockerd") as step:
        assert is_daemon(step)


@pytest.mark.parametrize(
    ("comm", "exe", "is_it"),
    [
        ("podman", "/usr/bin/podman", True),
        ("podman", "/srv/podman", False),
        ("podman", "/usr/bin/python3.11", False),
        ("nsenter", "/usr/bin/podman", False),
        ("podman", None, False),
    ],
)
def test_only_a_daemons_own_file_copies(comm: str, exe: str | None, *, is_it: bool) -> None:
    assert copies(dataclasses.replace(setns(5, INSIDE, comm), exe=exe)) is is_it
