# SPDX-License-Identifier: Apache-2.0
"""The lab of virtual machines, as far as it goes without one: its configuration holds, its scripts set machines up.

The scripts run in a Debian root with what they would find in a machine of the lab, but for systemd, which cannot run
there: a stand-in starts the commands of our own units. `make test-vm` runs the same scripts on a machine with systemd.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
LAB = ROOT / "vagrant"
SCRIPTS = [
    *(
        path
        for path in LAB.rglob("*")
        if path.is_file() and path.read_bytes()[:2] == b"#!" and path.suffix == ""
    ),
    *ROOT.glob("tests/**/*.sh"),
    *ROOT.glob("controller/detections/*/emulate.sh"),
    ROOT / ".ci/run",
]
SHELLS = (b"sh", b"bash")
SYSTEMCTL = """#!/bin/sh
# Stands in for systemd, which does not run in a chroot. Like it, it starts what failed anew, and keeps what was said.
keep() {
	tries=0
	until "$@" || [ "$tries" -ge 10 ]; do
		tries=$((tries + 1))
		echo "the stand-in for systemd: failed, try $tries follows"
		sleep 1
	done
}
echo "$*" >>/root/asked
for last in "$@"; do :; done
[ "$1" = enable ] || exit 0
case $last in
nsentry-controller)
	keep setpriv --reuid=nsentry --regid=nsentry --clear-groups nsentry-controller serve >/root/controller.log 2>&1 &
	;;
nsentry-sensor)
	[ -e /var/lib/nsentry/sensor/identity.json ] || exit 0
	keep nsentry-sensor run >/root/sensor.log 2>&1 &
	;;
esac
"""
RUNTIMES = ("docker.io", "busybox-static")
"""What the scripts would fetch, and what is theirs to start: packages of these names without content."""
PROVISION = """
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
/root/collector /root/packages https://localhost:8443
nsentry-controller token create >/root/token
/root/host /root/packages https://localhost:8443 /root/token docker
/root/host /root/packages https://localhost:8443 /root/token docker
echo
nsentry-controller sensors list --json
"""


def _shell(path: Path) -> bool:
    return path.read_bytes().split(b"\n", 1)[0].rstrip().rsplit(b"/", 1)[-1].removeprefix(b"env ") in SHELLS


def test_the_scripts_have_nothing_that_shellcheck_warns_of():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck missing; make test installs it")
    scripts = sorted(filter(_shell, SCRIPTS))
    assert LAB / "provision/host" in scripts
    command = ["shellcheck", "--severity=warning", *scripts]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _vagrant(
    home: Path, *words: str, lab: Path = LAB, **environment: str
) -> subprocess.CompletedProcess[str]:
    vagrant = shutil.which("vagrant")
    if vagrant is None:
        pytest.skip("vagrant missing; make test installs it")
    own = {"VAGRANT_HOME": str(home), "HOME": str(home), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        [vagrant, *words],
        cwd=lab,
        env={**os.environ, **own, **environment},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("kubernetes", ["0", "1"])
def test_vagrant_takes_the_labs_configuration(tmp_path, kubernetes):
    """With libvirt's provider; VirtualBox is in no Debian, so of its block only the syntax is looked at."""
    wanted = {"NSENTRY_LAB_KUBERNETES": kubernetes, "NSENTRY_CACHE": str(tmp_path)}
    done = _vagrant(tmp_path, "validate", **wanted)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def nowhere(tmp_path):
    """Brings up a lab of machines that are nothing: `up(failing, KEY=value)`, and what the collector was asked then."""
    lab, asked = tmp_path / "vagrant", tmp_path / "asked"
    (tmp_path / "bin").mkdir()
    for name in ("Vagrantfile", "table"):
        (lab / name).parent.mkdir(exist_ok=True)
        shutil.copy(LAB / name, lab)
    shutil.copy(Path(__file__).with_name("machines.rb"), tmp_path / "Vagrantfile")
    stub = tmp_path / "bin/vagrant"

    def up(failing: str = "nothing", **environment: str):
        stub.write_text(f'#!/bin/sh\necho "$*" >>{asked}\ncase $* in *{failing}*) exit 1 ;; esac\n')
        stub.chmod(0o755)
        asked.write_text("")
        more = {"PATH": f"{stub.parent}:{os.environ['PATH']}", "NSENTRY_CACHE": str(tmp_path), **environment}
        done = _vagrant(
            tmp_path, "up", "--no-parallel", "--no-provision", "--provider=nothing", lab=lab, **more
        )
        return done, asked.read_text().splitlines()

    return up


def test_vagrant_up_ends_with_the_table_of_all_hosts(nowhere):
    done, asked = nowhere()
    assert done.returncode == 0, done.stdout + done.stderr
    assert ["--host docker" in asked[0], "--host cri" in asked[1], len(asked)] == [True, True, 2]


def test_with_kubernetes_it_ends_with_its_case_and_one_failure_is_vagrants(nowhere, tmp_path):
    done, asked = nowhere(NSENTRY_LAB_KUBERNETES="1")
    assert (done.returncode, asked) == (1, []), done.stdout + done.stderr
    assert "run `make kubernetes` first" in done.stderr
    (tmp_path / "kubernetes-1.20/kubelet").touch()
    done, asked = nowhere(failing="--host docker", NSENTRY_LAB_KUBERNETES="1")
    assert (done.returncode, len(asked)) == (1, 3), done.stdout + done.stderr
    assert "/opt/cases/kubeconfig" in asked[-1]
    assert "Not every emulation ended as an alert" in done.stderr


def test_the_labs_audit_policy_is_the_documents():
    policy = (LAB / "kubernetes/audit-policy.yaml").read_text()
    assert f"```yaml\n{policy}```" in (ROOT / "docs/kubernetes.md").read_text()


def _empty(name: str, folder: Path) -> None:
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: stands in\n"
    )
    subprocess.run(["dpkg-deb", "-b", tree, folder / f"{name}.deb"], check=True, capture_output=True)


def _logged(home: Path) -> str:
    """What both programs said: a script that waited for one in vain does not know why."""
    logs = [path for name in ("controller", "sensor") if (path := home / f"{name}.log").exists()]
    return "".join(f"\n{path.name}:\n{path.read_text()[-3000:]}" for path in logs)


@pytest.mark.kernel
def test_the_scripts_make_a_collector_and_a_host_that_is_seen_by_it_and_may_run_again(
    installed, packages, tmp_path
):
    home = installed.path / "root"
    (home / "packages").mkdir()
    for name in ("sensor.deb", "controller.deb"):
        shutil.copy(packages[name], home / "packages" / packages[name].name)
    for name in ("collector", "host"):
        shutil.copy(LAB / "provision" / name, home)
    for name in RUNTIMES:
        _empty(name, tmp_path)
        shutil.copy(tmp_path / f"{name}.deb", home)
        installed.run("dpkg", "-i", f"/root/{name}.deb")
    systemctl = installed.path / "usr/bin/systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    (installed.path / "etc/hosts").write_text("127.0.0.1 localhost\n")
    done = installed.run("sh", "-ec", PROVISION, check=False, apart=True)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:] + _logged(home)
    (host,) = map(json.loads, done.stdout.rpartition("\n\n")[2].splitlines())
    assert (host["name"], host["revoked"]) == (socket.gethostname(), None)
    assert host["last_seen"], host
    asked = (home / "asked").read_text().splitlines()
    assert "enable --now docker" in asked
    assert "enable --now nsentry-sensor" in asked
