# SPDX-License-Identifier: Apache-2.0
"""On each kernel that we say we run on, both loaders take the best hook, and see every way in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vm import kernels
from tests.vm.kernel_runs import ROWS, WANTED
from tests.vm.ways import BRIEF, WAYS

Found = dict[str, dict[str, Any]]
SERVED = {
    "auto": "fentry __x64_sys_setns, __ia32_sys_setns",
    "kprobe": "kprobe __x64_sys_setns, __ia32_sys_setns (fentry: not asked for)",
    "tracepoint": "tracepoint syscalls:sys_exit_setns (fentry: not asked for; kprobe: not asked for)",
}
BCC_ON_OLD = "kprobe __x64_sys_setns, __ia32_sys_setns (fentry: bcc sees nothing by it before 5.11)"
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
    elif (kernel, asked) == ("bullseye", "bcc:auto"):
        assert hook == BCC_ON_OLD
    else:
        assert hook == SERVED[asked.partition(":")[2]]


@each_row
def test_every_way_in_is_one_entry_and_a_start_is_none(kernel: str, asked: str, found: Found) -> None:
    one = row(found, kernel, asked)
    expected = {*WAYS, "start"} if one["asked"] == "auto" else set(BRIEF)
    assert set(one["ways"]) == expected
    if one["hooks"]["setns"].startswith("tracepoint"):
        # The kernel has no such tracepoint for 32-bit callers: docs/kernels.md says so.
        one["ways"].pop("setns, 32-bit")
    assert {way: told for way, told in one["ways"].items() if told != "ok"} == {}
    assert one["lost"] == {}


@each_row
def test_the_cost_of_the_hook_was_measured(kernel: str, asked: str, found: Found) -> None:
    """No bound on time: only that it was measured; docs/kernels.md has the ratio."""
    one = row(found, kernel, asked)
    assert one["getppid_off_ns"] > 0
    assert one["getppid_on_ns"] > 0
    assert one["setns_ns"] > 0


def test_every_kernel_is_tried_with_both_loaders() -> None:
    for wanted in WANTED.values():
        assert {asked.partition(":")[0] for asked in wanted} == {"core", "bcc"}
