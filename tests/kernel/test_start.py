# SPDX-License-Identifier: Apache-2.0
"""A container's start is seen also when who started it ends at that very moment."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sensor.probe import BPF_SOURCES, open_probe, receiver
from sensor.probe.layout import Exec, Flag, KernelEvent

pytestmark = pytest.mark.kernel

STARTER = """
import ctypes, os
begin, end = os.pipe()
child = os.fork()
if child == 0:
    os.close(end)
    assert ctypes.CDLL(None).unshare(0x20000) == 0  # CLONE_NEWNS
    os.read(begin, 1)
    os.execv("/bin/true", ["true"])
print(child, flush=True)
# An exiting task gives up its namespaces, then its files, the latest opened first, then its children. With the
# pipe's end the child goes on; that of the file takes the kernel a while.
slow = os.memfd_create("slow")
os.posix_fallocate(slow, 0, 512 << 20)
os.dup2(end, 900)
os.close(end)
os._exit(0)
"""


@pytest.mark.parametrize("loader", ["core", "bcc"])
def test_a_start_is_seen_whose_starter_exits_meanwhile(loader: str) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    events: list[KernelEvent] = []
    probe = open_probe(loader, receiver(events.append, pytest.fail))
    try:
        said = subprocess.run([sys.executable, "-c", STARTER], check=True, capture_output=True, text=True)
        child = int(said.stdout)
        end = time.monotonic() + 20
        while not (seen := _execs(events, child)) and time.monotonic() < end:
            probe.poll(50)
    finally:
        probe.close()
    assert [event.head.flags & Flag.NEW_MOUNT for event in seen] == [Flag.NEW_MOUNT]


def _execs(events: list[KernelEvent], pid: int) -> list[Exec]:
    return [event for event in events if isinstance(event, Exec) and event.head.pid == pid]
