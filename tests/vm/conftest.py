# SPDX-License-Identifier: Apache-2.0
"""One run of every kernel for all tests of this folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES
from tests.vm import kernel_runs, machine


def pytest_collection_modifyitems(items):
    reason = machine.lacking()
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("vm")
            item.add_marker("kernel")
            item.add_marker(pytest.mark.timeout(2 * kernel_runs.SECONDS))
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"no emulated computer: {reason}"))


@pytest.fixture(scope="session")
def found(tracefs):
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    return kernel_runs.run_all()
