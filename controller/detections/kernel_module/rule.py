# SPDX-License-Identifier: Apache-2.0
"""A kernel module or a BPF program was loaded, or unloaded, from inside a visit: the kernel is every container's."""

from __future__ import annotations

from controller.detect.commands import invocations
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Kernel code loaded from a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1547.006", "T1611")

MATCHED = ("process.exe", "process.argv", "process.user", "container.privileged")
ASKS = frozenset(
    {"-n", "--dry-run", "--show", "-c", "--showconfig", "-D", "--show-depends", "-V", "--version", "-l"}
)
LOADS = {
    ("prog", "load"),
    ("prog", "loadall"),
    ("prog", "attach"),
    ("net", "attach"),
    ("struct_ops", "register"),
}
PROGRAMS = words("insmod modprobe kmod rmmod bpftool")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each tool that loads; one that only shows is silent."""
    for run in invocations(event):
        operands = [word for word in run.arguments if not word.startswith("-")]
        if run.program in {"insmod", "modprobe", "kmod"} and operands and ASKS.isdisjoint(run.arguments):
            if run.program == "kmod" and operands[0] not in {"insert", "load"}:
                continue
            gone = run.program == "modprobe" and {"-r", "--remove"} & {*run.arguments}
            what = "taken out of" if gone else "loaded into"
            return Finding(Severity.HIGH, f"a module was to be {what} the kernel: {run}", MATCHED)
        if run.program == "rmmod" and operands:
            return Finding(Severity.MEDIUM, f"a module was to be taken out of the kernel: {run}", MATCHED)
        if run.program == "bpftool" and tuple(operands[:2]) in LOADS:
            return Finding(Severity.HIGH, f"a BPF program was to be loaded: {run}", MATCHED)
    return None
