# SPDX-License-Identifier: Apache-2.0
"""An operator chooses the best kind of hook that is tried, and is told what serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES

pytestmark = pytest.mark.kernel


def test_the_hook_that_is_asked_for_is_tried_first_and_said(tmp_path: Path) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    command = [sys.executable, "-m", "sensor", "run", "--dry-run", "--hook", "tracepoint"]
    done = subprocess.run(
        [*command, "--loader", "core", "--state-dir", str(tmp_path)],
        cwd=BPF_SOURCES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    served = "tracepoint syscalls:sys_exit_setns (fentry: not asked for; kprobe: not asked for)"
    assert f"setns is seen by {served}" in done.stderr
