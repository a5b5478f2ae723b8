# SPDX-License-Identifier: Apache-2.0
"""An operator chooses the best kind of hook that is tried, and is told what serves."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, open_probe, receiver
from sensor.probe.core import CoreProbe
from sensor.probe.hooks import Choice

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


_SOCKET_FILTER = 1  # BPF_PROG_TYPE_SOCKET_FILTER: may call next to nothing


def test_a_program_that_the_kernel_refuses_costs_its_hook_and_not_the_sensor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    load = CoreProbe._load

    def spoilt(probe: CoreProbe, choice: Choice) -> None:
        function = ctypes.c_void_p(probe._programs["on_ordinary_exec"])
        assert probe._lib.bpf_program__set_type(function, _SOCKET_FILTER) == 0
        load(probe, choice)

    monkeypatch.setattr(CoreProbe, "_load", spoilt)
    probe = open_probe("core", receiver(lambda _event: None, pytest.fail))
    probe.close()
    assert probe.hooks["ordinary_exec"].startswith("none (raw_tracepoint: on_ordinary_exec E")
    assert probe.hooks["exec"] == "raw_tracepoint sched_process_exec"
