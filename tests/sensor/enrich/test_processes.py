# SPDX-License-Identifier: Apache-2.0
"""The snapshot knows the processes from before the sensor, by pid and start, without their secrets."""

from __future__ import annotations

import os
import shutil
import subprocess

from sensor.enrich import procfs
from sensor.enrich.processes import MAX_ARGV_CHARS, Snapshot, look
from sensor.wire.redact import Redactor

redact = Redactor().argv


def test_every_process_is_in_it_with_what_an_ancestor_needs():
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        while procfs.comm(process.pid) != "sleep":
            os.sched_yield()
        snapshot = Snapshot.take(redact)
        seen = snapshot.get(process.pid, procfs.stat_start(process.pid))
        process.kill()
    assert (seen.ppid, seen.comm, seen.argv, seen.uid) == (
        os.getpid(),
        "sleep",
        ["/bin/sleep", "60"],
        os.geteuid(),
    )
    assert seen.exe == os.path.realpath("/bin/sleep")
    assert len(snapshot) > 1
    assert snapshot.get(1, procfs.stat_start(1)) is not None


def test_a_pid_with_another_start_is_another_process():
    snapshot, start = Snapshot.take(redact), procfs.stat_start(os.getpid())
    assert snapshot.get(os.getpid(), start) is not None
    assert snapshot.get(os.getpid(), start + procfs.TICK_NS) is None
    snapshot.forget(os.getpid())
    assert snapshot.get(os.getpid(), start) is None


def test_secrets_are_taken_out_and_the_length_is_bounded():
    script = "while :; do read x; done"
    with subprocess.Popen(
        ["/bin/sh", "-c", script, "--password", "hunter2", "x" * 5000], stdin=subprocess.PIPE
    ) as process:
        while (found := procfs.cmdline(process.pid)) is None or found[0][:2] != ["/bin/sh", "-c"]:
            os.sched_yield()
        seen = look(process.pid, redact)
        process.kill()
    assert "hunter2" not in seen.argv
    assert sum(map(len, seen.argv)) <= MAX_ARGV_CHARS


def test_a_process_that_is_gone_is_none():
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    assert look(process.pid, redact) is None


def test_a_process_that_only_waits_to_be_waited_for_is_none():
    process = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.stat(process.pid).zombie
    assert look(process.pid, redact) is None
    process.wait()


def test_a_program_whose_file_was_replaced_under_it_keeps_its_name(tmp_path):
    program = tmp_path / "dockerd"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        while procfs.comm(process.pid) != "dockerd":
            os.sched_yield()
        program.unlink()
        seen = look(process.pid, redact)
        process.kill()
    assert seen.exe == str(program)
