# SPDX-License-Identifier: Apache-2.0
"""Packages built once, and a Debian root with both installed, which the tests of a module share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages import roots

ROOT = Path(__file__).parents[2]


def build(out: Path, *names: str) -> dict[str, Path]:
    """Build packages, all unless named; "sensor.deb", "controller.rpm" and so on to their files."""
    command = [sys.executable, "-m", "vagrant.packages", out, *names]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    paths = [Path(line) for line in done.stdout.split()]
    return {f"{path.name.split('-')[1].split('_')[0]}{path.suffix}": path for path in paths}


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    subprocess.run(["make", "-s", "-C", ROOT / "bpf"], check=True, capture_output=True)
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A root into which nothing of ours was installed yet."""
    if reason := roots.lacking():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("root")
    yield roots.make(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(clean, packages):
    """Both packages installed, as apt installs what lies in a folder: with what they depend on."""
    names = []
    for name in ("sensor.deb", "controller.deb"):
        shutil.copy(packages[name], clean.path / "root" / name)
        names.append(f"/root/{name}")
    clean.run("apt-get", "-qq", "update")
    said = clean.run("apt-get", "-qq", "install", "-y", "--no-install-recommends", *names).stdout
    (clean.path / "root/said").write_text(said)
    return clean
