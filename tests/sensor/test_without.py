# SPDX-License-Identifier: Apache-2.0
"""On a host that really lacks something, `run` and `doctor` say what, and how to mend it, with no traceback.

Privileges are dropped, and mounts changed, for the child process alone: in a mount namespace of its own.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensor import identity

ROOT = Path(__file__).parents[2]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="taking something away from a process needs root")


def sensor(prefix: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NSENTRY_")}
    return subprocess.run(
        [*prefix, sys.executable, "-m", "sensor", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def in_namespace(script: str) -> list[str]:
    """A prefix that runs a command after `script`, in a mount namespace whose changes stay in it."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{script}; exec "$@"', "sh"]


def without_tracefs() -> list[str]:
    # Other mounts may lie over it, and debugfs mounts it by itself below its own folder.
    return in_namespace(
        "for place in /sys/kernel/debug/tracing /sys/kernel/debug /sys/kernel/tracing; do"
        " while mountpoint -q $place; do umount -l $place; done; done"
    )


def without_btf(empty: Path) -> list[str]:
    return in_namespace(f"mount --bind {empty} /sys/kernel/btf")


def without_libbpf() -> list[str]:
    found = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    paths = {line.split("=> ")[1] for line in found.splitlines() if "libbpf.so.1 " in line}
    return in_namespace(
        "; ".join(f"mount --bind /dev/null $(readlink -f {path})" for path in paths) or "true"
    )


@pytest.fixture
def state(tmp_path):
    """An enrolled sensor: nothing is missing but what the test takes away."""
    identity.save(tmp_path / "state", {"v": 1, "host": "h", "credential": "c"}, "https://127.0.0.1:1", "PEM")
    return str(tmp_path / "state")


def check_both(prefix, state, name, code, words, fix, loader="core"):
    """`run` and `doctor` tell the same, and `run` never reaches the programs."""
    ran = sensor(prefix, "run", "--loader", loader, "--state-dir", state)
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert f"to mend it: {fix}" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    looked = sensor(prefix, "doctor", "--json", "--set", f"loader={loader}", "--state-dir", state)
    assert "Traceback" not in looked.stderr
    checks = {check["name"]: check for check in map(json.loads, looked.stdout.splitlines())}
    assert checks[name]["state"] == "fail"
    assert words in checks[name]["said"]
    assert checks[name]["fix"].startswith(fix)
    assert looked.returncode in {77, 78}


@pytest.mark.parametrize("prefix", [NOBODY, NO_CAPABILITIES], ids=["nobody", "root without capabilities"])
def test_without_privilege(state, prefix):
    readable = subprocess.run(
        [*prefix, sys.executable, "-c", "import click, sensor"], cwd=ROOT, check=False
    ).returncode
    if readable != 0:
        pytest.fail(
            f"the project's folder {ROOT} cannot be read by others: move it, this promise is to be tested"
        )
    check_both(prefix, state, "privilege", 77, "missing privilege: CAP_", "run it as root")


def test_without_privilege_nothing_of_the_sensor_can_be_asked(state):
    for command in (["status"], ["tail"], ["run", "--dry-run"]):
        done = sensor(NOBODY, *command, "--state-dir", state)
        assert done.returncode in {69, 77}, done.stderr
        assert "Traceback" not in done.stderr


def test_without_tracefs(state):
    check_both(without_tracefs(), state, "tracefs", 78, "tracefs is not mounted", "mount -t tracefs")


def test_without_btf(state, tmp_path):
    (tmp_path / "empty").mkdir()
    check_both(
        without_btf(tmp_path / "empty"),
        state,
        "btf",
        78,
        "the kernel does not tell its types",
        "boot a kernel",
    )


@pytest.mark.usefixtures("tracefs")
@pytest.mark.skipif(ctypes.util.find_library("bpf") is None, reason="libbpf is not there to be taken away")
def test_without_libbpf(state):
    check_both(
        without_libbpf(),
        state,
        "libbpf",
        78,
        "the library libbpf.so.1 is missing",
        "apt-get install -y libbpf1",
    )


def test_without_enrolment(tmp_path):
    done = sensor([], "run", "--state-dir", str(tmp_path))
    assert done.returncode == 78, done.stderr
    assert "nsentry-sensor enroll --url" in done.stderr
    assert "Traceback" not in done.stderr
