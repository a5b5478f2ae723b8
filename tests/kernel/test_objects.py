# SPDX-License-Identifier: Apache-2.0
"""The object holds the programs that the table of hooks names, for each machine that it is built for."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import pytest

from sensor.probe import BPF_SOURCES, hooks

pytestmark = pytest.mark.kernel
MACHINES = {"x86": "x86_64", "arm64": "aarch64"}


@pytest.mark.parametrize("arch", MACHINES)
def test_the_object_builds_and_holds_every_program(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = ["make", "-C", str(BPF_SOURCES), f"ARCH={arch}", f"BUILD={tmp_path}"]
    subprocess.run(build, check=True, capture_output=True)
    dump = ["bpftool", "btf", "dump", "file", str(tmp_path / "sensor.bpf.o")]
    shown = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    built = set(re.findall(r"FUNC '(on_\w+)'", shown))
    monkeypatch.setattr(platform, "machine", lambda: MACHINES[arch])
    calls = {
        "setns": ("setns", False),
        "ptrace": ("ptrace", True),
        "vm_writev": ("process_vm_writev", True),
        "pidfd_getfd": ("pidfd_getfd", True),
    }
    around = [way for call, wide in calls.values() for way in hooks._around(call, wide=wide)]
    others = [way for hook in hooks.HOOKS if hook.purpose not in calls for way in hook.ways]
    named = {program.function for way in (*around, *others) for program in way.programs}
    assert named == built
