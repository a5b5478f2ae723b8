# SPDX-License-Identifier: Apache-2.0
"""The programs are easily understood by the kernel's verifier: it has a limit, and the sensor waits for it."""

from __future__ import annotations

import os
import subprocess

import pytest

from sensor.probe import BPF_SOURCES, open_probe, receiver
from tests.bench import cost

pytestmark = pytest.mark.kernel
LIMIT = 1_000_000
"""Steps after which a program is refused (BPF_COMPLEXITY_LIMIT_INSNS since 5.2)."""


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_no_program_takes_more_than_a_quarter_of_the_verifiers_steps(loader: str) -> None:
    """Kernels differ by half and more: with less room, one of them refuses what another takes."""
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    probe = open_probe(loader, receiver(lambda _event: None, pytest.fail))
    try:
        steps = cost.verified_steps(os.getpid())
    finally:
        probe.close()
    assert len(steps) >= 6
    assert {name: many for name, many in steps.items() if not 0 < many < LIMIT // 4} == {}
