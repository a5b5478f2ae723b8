# SPDX-License-Identifier: Apache-2.0
"""What `make bench` tells of the programs' own run time."""

from __future__ import annotations

import os
import subprocess

import pytest

from sensor.probe import BPF_SOURCES, open_probe, receiver
from tests.bench import cost

pytestmark = pytest.mark.kernel


def test_the_kernels_account_of_each_program_is_found_by_who_holds_it() -> None:
    """Also with a bpftool that does not tell whose a program is, as Debian's: else the bench says nothing."""
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    probe = open_probe("core", receiver(lambda _event: None, pytest.fail))
    try:
        with cost.statistics():
            before = cost.run_times(os.getpid())
            subprocess.run(["true"], check=True)
            after = cost.run_times(os.getpid())
    finally:
        probe.close()
    ran = {name for name, (_, runs) in after.items() if runs > before[name][1]}
    assert {"on_sched_process_fork", "on_sched_process_exec", "on_sched_process_exit"} <= ran
    assert cost.run_times(os.getpid()) == {}
