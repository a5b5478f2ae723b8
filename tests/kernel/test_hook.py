# SPDX-License-Identifier: Apache-2.0
"""An operator chooses the best kind of hook that is tried, and is told what serves."""

from __future__ import annotations

import ctypes
import errno
import subprocess
import sys
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, core, open_probe, pins, receiver
from sensor.probe.core import CoreProbe
from sensor.probe.hooks import Choice
from sensor.probe.libbpf import load_library

pytestmark = pytest.mark.kernel


def test_the_hook_that_is_asked_for_is_tried_first_and_said(tmp_path: Path) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    command = [sys.executable, "-m", "sensor", "run", "--dry-run", "--hook", "tracepoint"]
    done = subprocess.run(
        [*command, "--loader", "core", "--state-dir", str(tmp_path)],
        cwd=BPF_SOURCES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    served = "tracepoint syscalls:sys_exit_setns (fentry: not asked for; kprobe: not asked for)"
    assert f"setns is seen by {served}" in done.stderr


_SOCKET_FILTER = 1  # BPF_PROG_TYPE_SOCKET_FILTER: may call next to nothing


def test_a_program_that_the_kernel_refuses_costs_its_hook_and_not_the_sensor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    load = CoreProbe._load

    def spoilt(probe: CoreProbe, choice: Choice) -> None:
        function = ctypes.c_void_p(probe._programs["on_ordinary_exec"])
        assert probe._lib.bpf_program__set_type(function, _SOCKET_FILTER) == 0
        load(probe, choice)

    monkeypatch.setattr(CoreProbe, "_load", spoilt)
    probe = open_probe("core", receiver(lambda _event: None, pytest.fail))
    probe.close()
    assert probe.hooks["ordinary_exec"].startswith("none (raw_tracepoint: on_ordinary_exec E")
    assert probe.hooks["exec"] == "raw_tracepoint sched_process_exec"


def test_a_link_that_cannot_be_pinned_costs_its_hook_and_leaves_no_pin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    library = load_library()
    pin = library.bpf_link__pin

    def refuses(link: int, path: bytes) -> int:
        if b"on_ordinary_exec" not in path:
            return int(pin(link, path))
        ctypes.set_errno(errno.EINVAL)
        return -1

    monkeypatch.setattr(library, "bpf_link__pin", refuses)
    monkeypatch.setattr(core, "load_library", lambda: library)
    folder = Path("/sys/fs/bpf/nsentry-test-hook")
    try:
        probe = open_probe("core", receiver(lambda _event: None, pytest.fail), pins=folder)
        probe.close()
        assert "pinning sched_process_exec EINVAL" in probe.hooks["ordinary_exec"]
        links = [path.name for path in folder.glob("*/link-*")]
        assert len(links) == len(set(links)) > 0
        assert not [link for link in links if "ordinary" in link]
    finally:
        pins.unpin(folder)
