# SPDX-License-Identifier: Apache-2.0
"""What a watch tells the kernel of the containers that run already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sensor.enrich import procfs
from sensor.enrich.containers import Containers
from sensor.enrich.known import Known
from sensor.entry import visitors
from sensor.entry.doors import Doors
from sensor.watch import Watch

DEAD, MNT, HOST = 2**22 + 1, 99, 3


class Told:
    """A probe, a metadata worker and a reporter that only take notes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, arguments))


def test_a_container_that_ended_before_the_kernel_was_told_leaves_its_number_to_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else the next one with it, which may come at once, would not be seen to start."""
    containers = Containers(tmp_path)
    own = procfs.stat_start(os.getpid())
    assert own is not None
    gone, here = (
        Known(str(pid), pid, own, {"mnt": mnt}, "docker", None)
        for pid, mnt in ((DEAD, MNT), (os.getpid(), 98))
    )
    monkeypatch.setattr(containers, "sweep", lambda: [gone, here])
    monkeypatch.setattr(visitors, "find", lambda _init_at: [])
    told: Any = Told()
    watch = Watch(containers, told, told, Doors(containers, {"mnt": HOST}), told, told)
    watch.sweep(told)
    kernel = [(name, arguments) for name, arguments in told.calls if "mount" in name or "init" in name]
    assert kernel == [
        ("know_init", (HOST, 1)),
        ("know_init", (MNT, DEAD)),
        ("forget_mount", (MNT,)),
        ("know_init", (98, os.getpid())),
    ]
