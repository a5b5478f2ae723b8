# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the processes outside is theirs, and bounded, whatever they are called with."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.processes import MAX_ARGV_CHARS, Snapshot
from sensor.entry.lineage import Lineage
from sensor.wire.redact import Redactor

WAIT: Final = "import sys; print(flush=True); sys.stdin.read()"


def test_of_a_huge_command_line_outside_only_the_beginning_is_kept() -> None:
    command = [sys.executable, "-c", WAIT, "--password", "hunter2", b"\xff" * 100_000]
    lineage = Lineage(Redactor().argv, lambda _mnt: "host", Snapshot({}))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = procfs.stat_start(process.pid)
        assert start is not None
        name = procfs.comm(process.pid)
        assert name is not None
        argv = lineage.look(process.pid, start, name).argv
        assert lineage.look(process.pid, start, "nsenter") == (None, None)
        process.communicate()
    assert argv is not None
    assert argv[1:5] == ["-c", WAIT, "--password", "***"]
    assert sum(map(len, argv)) <= MAX_ARGV_CHARS
