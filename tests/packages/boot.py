# SPDX-License-Identifier: Apache-2.0
"""A machine with systemd, in an emulated computer: installed packages, from a clean system to an alert and to nothing.

Not collected by `make test`: it takes minutes. `make test-vm` runs it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.versions import next_version
from vagrant.packages.told import VERSION

ROOT = Path(__file__).parents[2]
BOX = ROOT / "build/box"
SECONDS = 3000
"""More than ten times what it takes on a machine that does nothing else: what hangs ends here."""
pytestmark = [pytest.mark.packages, pytest.mark.vm, pytest.mark.timeout(2 * SECONDS)]
_RUN = "mount -t 9p -o trans=virtio out /mnt; bash /mnt/boot.sh >/mnt/output 2>&1; poweroff -f"


def _qemu(out: Path) -> list[str]:
    kernel = "console=ttyS0 root=LABEL=lab rw net.ifnames=0 mitigations=off panic=-1"
    append = f"{kernel} systemd.run=\"/bin/sh -c '{_RUN}'\""
    return [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "2048"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(BOX / "vmlinuz"), "-initrd", str(BOX / "initrd.img"), "-append", append),
        *("-drive", f"file={BOX / 'disk.img'},if=virtio,format=raw,snapshot=on"),
        *("-virtfs", f"local,security_model=none,multidevs=remap,path={out},mount_tag=out"),
    ]


@pytest.fixture(scope="module")
def told(packages, tmp_path_factory) -> dict[str, list[str]]:
    """What the guest printed, by part."""
    if not (BOX / "disk.img").exists():
        subprocess.run([ROOT / "vagrant/box/build", BOX], check=True)
    out = tmp_path_factory.mktemp("guest")
    for path in (packages["sensor.deb"], packages["controller.deb"], ROOT / "tests/packages/boot.sh"):
        shutil.copy(path, out)
    for name in ("provision/collector", "provision/host", "cases/ssh-nsenter"):
        shutil.copy(ROOT / "vagrant" / name, out)
    (out / "next").mkdir()
    next_version(packages, out / "next")
    with (out / "console").open("wb") as console:
        subprocess.run(
            _qemu(out), stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=SECONDS, check=False
        )
    assert (out / "output").exists(), (out / "console").read_text(errors="replace")[-3000:]
    parts: dict[str, list[str]] = {}
    for line in (out / "output").read_text(errors="replace").splitlines():
        if line.startswith("== "):
            parts[line.removeprefix("== ")] = []
        elif parts:
            parts[list(parts)[-1]].append(line)
    assert "journal" in parts, (out / "output").read_text(errors="replace")[-3000:]
    return parts


def _alerts(lines: list[str]) -> list[dict]:
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_sensor_that_nobody_enrolled_is_neither_enabled_nor_running(told):
    assert told["install"][-3:] == ["nsentry-controller.service enabled", "active", "inactive"], "\n".join(
        told["install"]
    )


def test_enrolled_and_enabled_both_run(told):
    both = ["nsentry-controller.service enabled", "nsentry-sensor.service enabled"]
    assert told["enrolled"][-4:] == [*both, "active", "active"], "\n".join(told["enrolled"] + told["journal"])


def test_a_docker_exec_ends_as_an_alert(told):
    visits = [each for each in _alerts(told["visit"]) if each["means"] == "docker-exec"]
    assert [each["container"]["name"] for each in visits] == ["web"], "\n".join(
        told["visit"] + told["journal"]
    )


def test_who_comes_by_ssh_becomes_root_and_joins_a_containers_namespaces_is_an_alert_in_his_own_name(told):
    (alert,) = _alerts(told["ssh"])
    assert alert["means"] == "ns-join"
    assert "ns_join" in alert["detections"]
    assert (alert["principal"], alert["container"]["name"]) == ("vagrant", "web")
    assert "ssh from" in alert["sentence"]


def test_the_hardened_units_hold_back_nothing_that_is_needed(told):
    assert "NRestarts=0" in told["unit"], "\n".join(told["journal"])
    assert len(told["unit"]) > 4, f"nothing is pinned: {told['unit']}"


def test_under_its_unit_the_sensor_lacks_nothing(told):
    assert told["degraded"] == []


def test_an_upgrade_restarts_both_and_keeps_identity_and_spool(told):
    assert told["upgrade"] == [
        *(f"nsentry-controller {VERSION}-2", "active", "restarted"),
        *(f"nsentry-sensor {VERSION}-2", "active", "restarted"),
        "the same identity",
        "kept-in-the-spool",
        "after-the-upgrade",
    ], "\n".join(told["upgrade"] + told["journal"])


def test_a_removal_stops_and_unpins_and_keeps_the_state(told):
    assert told["remove"] == ["inactive", "/var/lib/nsentry/sensor"]


def test_a_purge_leaves_no_state_no_pin_and_nothing_enabled(told):
    assert told["purge"] == []
