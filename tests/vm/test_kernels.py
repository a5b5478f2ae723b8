# SPDX-License-Identifier: Apache-2.0
"""On each kernel that we say we run on, the best hook is taken and every way in is seen.

By core; by bcc on the machine's own kernel, and elsewhere with VM_LOADERS (`make test-vm`).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.vm import kernels
from tests.vm.kernel_runs import ROWS, WANTED
from tests.vm.ways import WAYS

Found = dict[str, dict[str, Any]]
SERVED = {
    "auto": "fentry __x64_sys_setns, __ia32_sys_setns",
    "kprobe": "kprobe __x64_sys_setns, __ia32_sys_setns (fentry: not asked for)",
    "tracepoint": "tracepoint syscalls:sys_exit_setns (fentry: not asked for; kprobe: not asked for)",
}
SERVED_OTHERWISE = {
    (
        "bullseye",
        "bcc:auto",
    ): "kprobe __x64_sys_setns, __ia32_sys_setns (fentry: bcc sees nothing by it before 5.11)",
}
each_row = pytest.mark.parametrize(("kernel", "asked"), ROWS)


def row(found: Found, kernel: str, asked: str) -> dict[str, Any]:
    result = found[kernel]
    assert "error" not in result, result["error"]
    (one,) = (each for each in result["rows"] if f"{each['loader']}:{each['asked']}" == asked)
    assert "error" not in one, one["error"]
    return dict(one)


@pytest.mark.parametrize("kernel", kernels.SUITES)
def test_the_kernel_is_debians_with_cgroup_v2_and_bpf_lsm(kernel: str, found: Found) -> None:
    assert "error" not in found[kernel], found[kernel]["error"]
    assert found[kernel]["kernel"].startswith(f"{kernels.SUITES[kernel]}.")
    assert found[kernel]["cgroup"] == "v2"
    assert "bpf" in found[kernel]["lsm"]


@each_row
def test_the_hook_that_is_asked_for_serves(kernel: str, asked: str, found: Found) -> None:
    hook = row(found, kernel, asked)["hooks"]["setns"]
    if kernel == "here":
        assert hook.startswith(("fentry __", "kprobe __", "tracepoint syscalls:sys_exit_setns"))
    else:
        assert hook == SERVED_OTHERWISE.get((kernel, asked), SERVED[asked.partition(":")[2]])


@each_row
def test_every_way_in_is_one_entry_and_a_start_is_none(kernel: str, asked: str, found: Found) -> None:
    one = row(found, kernel, asked)
    assert set(one["ways"]) == {*WAYS, "start"}
    assert {way: told for way, told in one["ways"].items() if told != "ok"} == {}
    assert one["lost"] == {}


@each_row
def test_the_cost_of_the_hook_was_measured(kernel: str, asked: str, found: Found) -> None:
    """No bound on time: only that it was measured; docs/kernels.md has the ratio."""
    one = row(found, kernel, asked)
    assert one["getppid_off_ns"] > 0
    assert one["getppid_on_ns"] > 0
    assert one["setns_ns"] > 0


@pytest.mark.parametrize("kernel", WANTED)
def test_programs_and_maps_can_be_left_in_the_kernel_or_it_is_said_why_not(kernel: str, found: Found) -> None:
    assert "error" not in found[kernel], found[kernel]["error"]
    for best, told in found[kernel]["pins"].items():
        if told != "ok":
            assert (kernel, best) in {("bullseye", "kprobe"), ("bullseye", "tracepoint")}, told
            assert "pinning" in told


@pytest.mark.parametrize("kernel", WANTED)
def test_no_program_takes_more_than_a_quarter_of_the_verifiers_steps(kernel: str, found: Found) -> None:
    """Kernels before 5.16 do not tell."""
    assert "error" not in found[kernel], found[kernel]["error"]
    steps = [one["verified"] for one in found[kernel]["rows"] if "error" not in one]
    assert all(many is None or many < 250_000 for many in steps), steps
