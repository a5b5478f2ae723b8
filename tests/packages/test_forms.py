# SPDX-License-Identifier: Apache-2.0
"""The packages themselves: both forms hold the same, twice built is alike, and what is generated can be read."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from controller.settings import _File
from sensor.config import Config
from sensor.config_keys import KEYS
from tests.packages.conftest import build
from vagrant.packages import told, trees
from vagrant.packages.told import VERSION

pytestmark = [pytest.mark.packages, pytest.mark.timeout(300)]


def _lines(*command: str | Path) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("name", ["sensor", "controller"])
def test_deb_and_rpm_hold_the_same_files(packages, name):
    deb = {
        line.split(maxsplit=5)[5].lstrip(".").rstrip("/")
        for line in _lines("dpkg-deb", "-c", packages[f"{name}.deb"])
    }
    rpm = set(_lines("rpm", "-qpl", packages[f"{name}.rpm"]))
    assert rpm <= deb
    assert not [place for place in deb - rpm if "nsentry" in place]


@pytest.mark.parametrize("name", ["sensor", "controller"])
def test_no_file_names_the_folder_it_was_built_in(packages, name, tmp_path):
    subprocess.run(["dpkg-deb", "-x", packages[f"{name}.deb"], tmp_path], check=True)
    search = ["grep", "-rlF", str(trees.ROOT), tmp_path]
    found = subprocess.run(search, check=False, capture_output=True, text=True).stdout
    assert not [line for line in found.splitlines() if not line.endswith("sensor.bpf.o")]


def test_the_same_commit_makes_the_same_package(packages, tmp_path):
    """Of the sensor; the controller is made by the same steps, which take longer."""
    again = build(tmp_path, "nsentry-sensor")
    assert set(again) == {"sensor.deb", "sensor.rpm"}
    for name, path in again.items():
        assert path.read_bytes() == packages[name].read_bytes(), name


@pytest.mark.parametrize("name", ["sensor", "controller"])
def test_the_rpm_installs_and_goes_without_its_state(packages, clean, name):
    """On Debian's files, so that names of dependencies are not looked at: the scripts and the files are."""
    rpm = ("rpm", "--root", str(clean.path), "--dbpath=/var/lib/rpm")
    subprocess.run([*rpm, "--nodeps", "-i", packages[f"{name}.rpm"]], check=True, capture_output=True)
    assert _lines(*rpm, "-q", f"nsentry-{name}") == [f"nsentry-{name}-{VERSION}-1.x86_64"]
    if name == "controller":  # the sensor's Python packages are the distribution's, and not in this root
        assert f"nsentry-controller {VERSION}" in clean.run("nsentry-controller", "version").stdout
    subprocess.run([*rpm, "-e", f"nsentry-{name}"], check=True, capture_output=True)
    assert not clean.has(f"/usr/lib/nsentry/{name}")
    assert clean.has(f"/var/lib/nsentry/{name}")


def _uncommented(text: str) -> str:
    return re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_the_sensors_configuration_shows_every_setting_and_can_be_read_with_each_one_set(tmp_path):
    text = told.sensor_configuration()
    (tmp_path / "sensor.toml").write_text(text)
    plain = Config.load(file=tmp_path / "sensor.toml", environment={})
    assert set(plain.origins.values()) == {"default"}
    (tmp_path / "sensor.toml").write_text(_uncommented(text))
    full = Config.load(file=tmp_path / "sensor.toml", environment={})
    assert {name for name, origin in full.origins.items() if origin != "default"} == {
        key.name for key in KEYS
    }


def test_the_controllers_configuration_shows_every_setting(tmp_path):
    text = (trees.FILES / "controller/controller.toml").read_text()
    assert tomllib.loads(text) == {}
    held = tomllib.loads(_uncommented(text))
    msgspec.convert(held, _File)
    assert set(held) == set(_File.__struct_fields__)


@pytest.mark.parametrize(("name", "most"), [("sensor", 5.0), ("controller", 2.0)])
def test_the_unit_is_as_closed_as_what_it_does_allows(name, most):
    """By systemd's own measure, from 0 (closed) to 10; the sensor needs root, and looks at every process."""
    unit = trees.FILES / name / f"nsentry-{name}.service"
    *_, last = (
        line for line in _lines("systemd-analyze", "security", "--no-pager", "--offline=yes", unit) if line
    )
    assert float(re.search(r": ([0-9.]+) ", last)[1]) <= most
