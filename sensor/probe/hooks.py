# SPDX-License-Identifier: Apache-2.0
"""Where in the kernel the programs hang: the table of hooks, and the choice of the best way that loads.

A hook serves one purpose. It may be had in several ways, best first; a way that the kernel refuses is kept with
its reason, and the next is taken. Both loaders choose by this table. A new hook is a line in HOOKS and its
programs in bpf/, named as the functions below name them.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

Kind = Literal["fentry", "fexit", "kprobe", "kretprobe", "tracepoint", "raw_tracepoint"]
Best = Literal["auto", "fentry", "kprobe", "tracepoint"]
"""The best kind that is tried. What is better is left out, what is worse is fallen back to."""
CHOICES: Final[tuple[Best, ...]] = get_args(Best)
_BETTER: Final[dict[Best, tuple[Kind, ...]]] = {"kprobe": ("fentry",), "tracepoint": ("fentry", "kprobe")}

_KPROBES: Final = Path("/sys/bus/event_source/devices/kprobe")


@dataclass(frozen=True, slots=True)
class Program:
    """One program at one place."""

    kind: Kind
    target: str
    """A kernel function, or a tracepoint."""
    function: str
    """Its name in bpf/, for core."""
    optional: bool = False
    """Whether the way holds also where the kernel has no such place."""

    @property
    def bcc_function(self) -> str:
        """Its name in bpf/, for bcc, which takes the target of these two kinds from the name."""
        prefix = {"fentry": "kfunc__", "fexit": "kretfunc__"}.get(self.kind)
        return f"{prefix}{self.target}" if prefix else self.function


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have a hook: programs that only do together."""

    kind: Kind
    programs: tuple[Program, ...]

    def name(self, attached: Set[Program]) -> str:
        """For status: the kind and its places, the entry of one and the return from it told once."""
        places = dict.fromkeys(
            program.target
            for program in self.programs
            if program in attached and "sys_enter_" not in program.target
        )
        return f"{self.kind} {', '.join(places)}"


@dataclass(frozen=True, slots=True)
class Hook:
    """What the sensor wants to be told of, and the ways to it."""

    purpose: str
    ways: tuple[Way, ...]
    required: bool = True
    """Whether the sensor cannot do without."""
    beside: str | None = None
    """The purpose whose syscalls tracepoint must be paid for already before this one takes its own."""


def _functions_of(call: str) -> tuple[tuple[str, bool], ...]:
    """The kernel's functions for a system call, and whether one may be missing.

    On x86 a 32-bit caller comes through one of its own, where the kernel was built for such callers.
    """
    if platform.machine() == "aarch64":
        return ((f"__arm64_sys_{call}", False),)
    return ((f"__x64_sys_{call}", False), (f"__ia32_sys_{call}", True))


def _around(call: str, *, wide: bool = False) -> tuple[Way, ...]:
    """Before and after a system call. A syscalls tracepoint is last: it slows every other system call too.

    `wide`: of 64-bit callers alone, whose arguments are read.
    """
    functions = _functions_of(call)[: 1 if wide else None]
    fentry = tuple(
        Program(kind, function, f"on_{kind}_{function}", optional)
        for function, optional in functions
        for kind in ("fentry", "fexit")
    )
    kprobe = tuple(
        Program(kind, function, f"on_{kind}_{call}", optional)
        for function, optional in functions
        for kind in ("kprobe", "kretprobe")
    )
    tracepoint = tuple(
        Program("tracepoint", f"syscalls:sys_{end}_{call}", f"on_sys_{end}_{call}")
        for end in ("enter", "exit")
    )
    return Way("fentry", fentry), Way("kprobe", kprobe), Way("tracepoint", tracepoint)


def _raw(tracepoint: str, function: str = "") -> tuple[Way, ...]:
    program = Program("raw_tracepoint", tracepoint, function or f"on_{tracepoint}")
    return (Way("raw_tracepoint", (program,)),)


def _entered(*functions: tuple[str, str]) -> tuple[Way, ...]:
    """Where functions of the kernel begin, each with its name in bpf/; the second and on may be missing there."""
    return tuple(
        Way(
            kind,
            tuple(
                Program(kind, function, f"on_{kind}_{function if kind == 'fentry' else called}", at > 0)
                for at, (function, called) in enumerate(functions)
            ),
        )
        for kind in ("fentry", "kprobe")
    )


_SENT_BY_TRACEPOINTS: Final = Way(
    "raw_tracepoint",
    (
        Program("raw_tracepoint", "sock_send_length", "on_sock_send_length"),
        Program("raw_tracepoint", "fib_table_lookup", "on_fib_table_lookup"),
        Program("raw_tracepoint", "fib6_table_lookup", "on_fib6_table_lookup", optional=True),
    ),
)

HOOKS: Final = (
    Hook("setns", _around("setns")),
    Hook("fork", _raw("sched_process_fork")),
    Hook("exec", _raw("sched_process_exec")),
    Hook("exit", _raw("sched_process_exit")),
    Hook("cgroup", _raw("cgroup_attach_task"), required=False),
    Hook("ptrace", _around("ptrace", wide=True), required=False, beside="setns"),
    Hook("vm_writev", _around("process_vm_writev", wide=True), required=False, beside="setns"),
    Hook("mem_write", _entered(("mem_write", "mem_write")), required=False),
    Hook("pidfd_getfd", _around("pidfd_getfd", wide=True), required=False, beside="setns"),
    Hook("signal", _raw("signal_generate"), required=False),
    Hook("ordinary_exec", _raw("sched_process_exec", "on_ordinary_exec"), required=False),
    Hook("connect", _raw("inet_sock_set_state"), required=False),
    Hook(
        "unix_connect",
        (*_entered(("security_unix_stream_connect", "unix_connect")), *_raw("sk_data_ready")),
        required=False,
    ),
    Hook(
        "unix_read",
        (*_entered(("unix_stream_read_actor", "unix_read")), *_raw("sk_data_ready", "on_request_ready")),
        required=False,
    ),
    Hook(
        "datagram",
        (*_entered(("udp_sendmsg", "datagram"), ("udpv6_sendmsg", "datagram6")), _SENT_BY_TRACEPOINTS),
        required=False,
    ),
)


class Choice:
    """Which way each hook has now, and why not a better one."""

    def __init__(self, best: Best = "auto", hooks: tuple[Hook, ...] = HOOKS) -> None:
        self._hooks = hooks
        self._ways = {hook.purpose: list(hook.ways) for hook in hooks}
        self._reasons: dict[str, dict[Kind, str]] = {hook.purpose: {} for hook in hooks}
        self._attached: dict[str, set[Program]] = {hook.purpose: set() for hook in hooks}
        for skipped in _BETTER.get(best, ()):
            self.refuse_kind(skipped, "not asked for")

    def taken(self) -> Iterator[tuple[str, Way]]:
        """Purpose and present way of each hook that has one."""
        for hook in self._hooks:
            ways = self._ways[hook.purpose]
            if ways and not self._costs(hook, ways[0]):
                yield hook.purpose, ways[0]

    def _costs(self, hook: Hook, way: Way) -> bool:
        """Whether this way would slow every system call, which no other hook does yet."""
        if hook.beside is None or way.kind != "tracepoint":
            return False
        other = self._ways[hook.beside]
        return not other or other[0].kind != "tracepoint"

    def purpose_of(self, function: str) -> str | None:
        """The hook that a program serves in its present way."""
        for purpose, way in self.taken():
            if any(program.function == function for program in way.programs):
                return purpose
        return None

    def refuse(self, purpose: str, reason: str) -> bool:
        """Drops the present way of a hook. False if the sensor cannot do without it and no other is left."""
        ways = self._ways[purpose]
        (hook,) = (hook for hook in self._hooks if hook.purpose == purpose)
        if hook.required and len(ways) <= 1:
            return False
        self._reasons[purpose][ways.pop(0).kind] = reason
        self._attached[purpose].clear()
        return True

    def refuse_kind(self, kind: Kind, reason: str) -> None:
        """Drops a kind of way where something else is left."""
        for hook in self._hooks:
            ways = self._ways[hook.purpose]
            left = [way for way in ways if way.kind != kind]
            if left != ways and (left or not hook.required):
                self._ways[hook.purpose] = left
                self._reasons[hook.purpose][kind] = reason

    def refuse_what_this_kernel_lacks(self) -> None:
        """What can be known without loading anything."""
        if not _KPROBES.exists():
            self.refuse_kind("kprobe", "this kernel has none")

    def attached(self, purpose: str, program: Program) -> None:
        """A program hangs where it should."""
        self._attached[purpose].add(program)

    def names(self) -> dict[str, str]:
        """Purpose to what serves it, with the reason why nothing better does."""
        taken = dict(self.taken())
        names = {}
        for hook in self._hooks:
            way, given = taken.get(hook.purpose), self._reasons[hook.purpose]
            reasons = "; ".join(f"{way.kind}: {given[way.kind]}" for way in hook.ways if way.kind in given)
            if way is None and self._ways[hook.purpose]:
                reasons = "; ".join(filter(None, (reasons, "tracepoint: it would slow every system call")))
            served = way.name(self._attached[hook.purpose]) if way else "none"
            names[hook.purpose] = f"{served} ({reasons})" if reasons else served
        return names
