# SPDX-License-Identifier: Apache-2.0
"""Each hook is served by the best way that the kernel takes, and says why by nothing better."""

from __future__ import annotations

import re

import pytest

from sensor.probe import BPF_SOURCES, hooks
from sensor.probe.hooks import CHOICES, HOOKS, Choice, Hook, Program, Way

BOTH = (
    Way("fentry", (Program("fentry", "f", "on_fentry_f"), Program("fentry", "g", "on_fentry_g", True))),
    Way("kprobe", (Program("kprobe", "f", "on_kprobe"),)),
)


def attach_all(choice: Choice) -> None:
    for purpose, way in choice.taken():
        for program in way.programs:
            choice.attached(purpose, program)


def test_the_best_way_comes_first() -> None:
    choice = Choice(hooks=(Hook("it", BOTH),))
    attach_all(choice)
    assert choice.names() == {"it": "fentry f, g"}


def test_a_place_that_this_kernel_has_not_is_not_claimed() -> None:
    choice = Choice(hooks=(Hook("it", BOTH),))
    choice.attached("it", BOTH[0].programs[0])
    assert choice.names() == {"it": "fentry f"}


def test_what_is_refused_is_fallen_from_and_its_reason_is_kept() -> None:
    choice = Choice(hooks=(Hook("it", BOTH), Hook("other", BOTH)))
    assert choice.refuse("it", "EPERM")
    attach_all(choice)
    assert choice.names() == {"it": "kprobe f (fentry: EPERM)", "other": "fentry f, g"}


def test_the_last_way_of_what_is_needed_is_not_given_up() -> None:
    choice = Choice(hooks=(Hook("it", BOTH[:1]),))
    assert not choice.refuse("it", "EPERM")
    assert choice.names() == {"it": "fentry "}


def test_a_hook_that_can_be_done_without_is_said_to_be_missing() -> None:
    choice = Choice(hooks=(Hook("it", BOTH, required=False),))
    assert choice.refuse("it", "EPERM")
    assert choice.refuse("it", "EINVAL")
    assert list(choice.taken()) == []
    assert choice.names() == {"it": "none (fentry: EPERM; kprobe: EINVAL)"}


def test_no_hook_that_can_be_done_without_slows_every_system_call() -> None:
    """Where the tracepoint of another has done so already, it costs the others nothing."""
    choice = Choice()
    assert choice.refuse("ptrace", "EINVAL")
    assert choice.refuse("ptrace", "EINVAL")
    assert "ptrace" not in dict(choice.taken())
    assert choice.names()["ptrace"].endswith("EINVAL; tracepoint: it would slow every system call)")
    choice = Choice("tracepoint")
    assert dict(choice.taken())["ptrace"].kind == dict(choice.taken())["setns"].kind == "tracepoint"


@pytest.mark.parametrize(("best", "served"), [("auto", "fentry"), ("fentry", "fentry"), ("kprobe", "kprobe")])
def test_what_is_better_than_asked_for_is_not_tried(best: hooks.Best, served: str) -> None:
    choice = Choice(best)
    assert dict(choice.taken())["setns"].kind == served


def test_asked_for_the_tracepoint_only_that_is_left() -> None:
    choice = Choice("tracepoint")
    attach_all(choice)
    expected = "tracepoint syscalls:sys_exit_setns (fentry: not asked for; kprobe: not asked for)"
    assert choice.names()["setns"] == expected
    assert not choice.refuse("setns", "ENOENT")


def test_every_program_of_the_table_stands_in_the_object() -> None:
    functions = {p.function for hook in HOOKS for way in hook.ways for p in way.programs}
    source = "".join(path.read_text() for path in BPF_SOURCES.glob("*.h"))
    for call in re.findall(r"ON_SYSCALL\((\w+),", source):
        if call != "call":
            assert {f"on_sys_enter_{call}", f"on_kretprobe_{call}"} <= functions
    for tracepoint in re.findall(r"ON_RAW_TRACEPOINT\((\w+)\)", source):
        assert tracepoint == "name" or f"on_{tracepoint}" in functions
    assert CHOICES[0] == "auto"
