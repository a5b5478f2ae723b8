# SPDX-License-Identifier: Apache-2.0
"""What the kernel's programs count: the twin of enum counter in bpf/event.h."""

from __future__ import annotations

from typing import Final

COUNTERS: Final = (
    "kernel.setns",
    "kernel.setns_no_change",
    "kernel.marked_fork",
    "kernel.marked_exec",
    "kernel.marked_exit",
    "kernel.new_mount",
    "kernel.lost.ring",
    "kernel.lost.mark",
    "kernel.lost.before",
    "kernel.argv_fault",
    "kernel.ordinary",
    "kernel.ordinary_told",
    "kernel.lost.ordinary",
    "kernel.moved",
    "kernel.lost.commands",
    "kernel.lost.crossings",
    "kernel.lost.contacts",
)
"""enum counter, in its order. Those with "lost" in their name are losses, by cause."""
