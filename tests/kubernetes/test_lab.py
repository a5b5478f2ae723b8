# SPDX-License-Identifier: Apache-2.0
"""The lab's Kubernetes host and its case, run for real: `vagrant/provision/kubernetes` and `vagrant/cases/kubeconfig`.

The host is this one, with folders of its own (overlays, in a mount namespace), and a stand-in for systemd that starts
what the units say. The thief has a network of his own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.kubernetes.cluster import CACHE, free_ports, remove_cgroups
from vagrant.local import host
from vagrant.local.stack import BIN, Stack

pytestmark = pytest.mark.timeout(2400)
LAB = Path(__file__).parents[2] / "vagrant"
DESK, THIEF = "198.18.98.1", "198.18.98.2"
PROVISION_S, CASE_S, GONE_S = 900, 600, 60
SYSTEMCTL = """#!/bin/sh
# Stands in for systemd: starts what the unit says, in place of what it started before, which gets time to end.
[ "$1" = restart ] || exit 0
kept=/var/lib/stand-in/$2
mkdir -p /var/lib/stand-in
if [ -e "$kept.pid" ]; then
	pid=$(cat "$kept.pid")
	kill "$pid"
	timeout 20 sh -c "while kill -0 $pid 2>/dev/null; do sleep 0.2; done" || kill -9 "$pid"
fi
for unit in /etc/systemd/system/$2.service /lib/systemd/system/$2.service; do [ ! -e "$unit" ] || break; done
command=$(sed -n 's/^ExecStart=//p' "$unit")
setsid $command >>"$kept.log" 2>&1 </dev/null &
echo $! >"$kept.pid"
"""
FOLDERS = """
for each in etc var/lib var/log usr/local; do
	mkdir -p "$1/upper/$each" "$1/beneath/$each"
	mount -t overlay overlay -o "lowerdir=/$each,upperdir=$1/upper/$each,workdir=$1/beneath/$each" "/$each"
done
# What is made of overlays itself cannot be in one.
for each in var/lib/containerd var/lib/kubernetes var/lib/kubelet run/containerd run/netns; do
	mkdir -p "/$each" "$1/own/$each"
	mount --bind "$1/own/$each" "/$each"
done
hostname kubernetes
install -m 755 "$1/systemctl" /usr/local/bin/systemctl
echo ready
exec sleep infinity
"""


class Node:
    """The Kubernetes host: our own with other folders. `line` is the command that runs a line there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "systemctl").write_text(SYSTEMCTL)
        words = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--uts", "sh", "-euc", FOLDERS, "sh"]
        self._holder = subprocess.Popen([*words, folder], stdout=subprocess.PIPE, text=True)
        self.line = (
            f"nsenter --mount=/proc/{self._holder.pid}/ns/mnt --uts=/proc/{self._holder.pid}/ns/uts sh -c"
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "ready\n"
        self._holder.stdout.close()

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.line.split(), command], env={**os.environ, **environment}, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PROVISION_S)  # fmt: skip

    def logs(self) -> str:
        return "".join(f"\n{path.name}:\n{path.read_text(errors='replace')[-2000:]}"
                       for path in sorted((self.folder / "upper/var/lib/stand-in").glob("*.log")))  # fmt: skip

    def stop(self) -> None:
        """Everything that lives in its folders, and the containers below it."""
        deadline = time.monotonic() + GONE_S
        while (left := self._left()) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        self._holder.kill()
        self._holder.wait()
        subprocess.run(["ip", "link", "del", "lab0"], check=False, capture_output=True)
        remove_cgroups()
        assert not left

    def _left(self) -> list[int]:
        """Containers before their shims: what is left of those would be nobody's."""
        own = Path(f"/proc/{self._holder.pid}/ns/mnt").readlink()
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if not entry.name.isdecimal() or int(entry.name) == self._holder.pid:
                    continue
                if (entry / "ns/mnt").readlink() == own:
                    shim = "containerd-shim" in (entry / "cmdline").read_text()
                    children = (entry / "task" / entry.name / "children").read_text() if shim else ""
                    found += [*map(int, children.split()), int(entry.name)]
        return found


@pytest.fixture(scope="module")
def thief():
    """A network beside the host's; the command that runs a line in it."""
    name = f"nst{os.getpid()}"
    words = ["setpriv", "--pdeathsig", "TERM", "unshare", "--net", "sh", "-c", "echo; exec sleep infinity"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        enter = f"nsenter --net=/proc/{holder.pid}/ns/net"
        try:
            for command in (
                f"ip link add {name} type veth peer name lab netns {holder.pid}",
                f"ip address add {DESK}/30 dev {name}",
                f"ip link set {name} up",
                f"{enter} ip address add {THIEF}/30 dev lab",
                f"{enter} ip link set lab up",
            ):
                subprocess.run(command.split(), check=True)
            yield f"{enter} sh -c"
        finally:
            subprocess.run(["ip", "link", "del", name], check=False)
            holder.kill()


@pytest.fixture(scope="module")
def lab(tmp_path_factory, thief):
    """Controller, sensor, and the Kubernetes host as the lab sets it up, twice over."""
    root = tmp_path_factory.mktemp("lab")
    with ExitStack() as undo:
        undo.enter_context(host.tracefs())
        stack = Stack(root / "stack", free_ports(1)[0])
        stack.start_controller(undo)
        stack.start_sensor(undo)
        audit = root / "audit.kubeconfig"
        audit.write_text(stack.controller("kubernetes", "enroll", "lab"))
        node = Node(root / "node")
        undo.callback(node.stop)
        names = ("API_PORT", "KUBELET_PORT", "ETCD_PORT", "PEER_PORT")
        ports = dict(zip(names, map(str, free_ports(4)), strict=True))
        for _ in range(2):
            command = f"{LAB}/provision/kubernetes {LAB}/kubernetes {CACHE} {DESK} {audit}"
            done = node.run(command, **ports)
            assert done.returncode == 0, done.stdout + done.stderr[-1500:] + node.logs()
        assert "kubernetes   Ready" in done.stdout
        yield stack, node


def _case(stack: Stack, node: Node, thief: str, seconds: int) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "NSENTRY_CONTROLLER_STATE": str(stack.root / "controller"),
        "NSENTRY_LAB_TIMEOUT": str(seconds),
    }
    return subprocess.run([LAB / "cases/kubeconfig", node.line, thief], env=environment, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CASE_S)  # fmt: skip


def _is_as_before(stack: Stack, node: Node) -> None:
    (knob,) = [row for row in stack.read("knobs", "list") if row["name"] == "SourceIPRange"]
    assert knob["origin"] == "default"
    assert node.run("ls -d /tmp/nsentry-stolen-*").stdout == ""
    assert "stolen-" not in json.dumps(stack.read("alerts", "list", "--limit", "500"))
    pods = "kubectl --kubeconfig /etc/kubernetes/admin.kubeconfig -n shop get pods -o name"
    deadline = time.monotonic() + GONE_S
    while "stolen-" in node.run(pods).stdout:
        assert time.monotonic() < deadline, "the pod stays"
        time.sleep(0.5)


def test_the_case_of_the_stolen_kubeconfig_ends_with_its_alert_and_leaves_nothing(lab, thief):
    stack, node = lab
    done = _case(stack, node, thief, 120)
    assert done.returncode == 0, done.stdout + done.stderr + node.logs()
    assert f"alice came from {THIEF}, which is outside SourceIPRange" in done.stdout
    _is_as_before(stack, node)


def test_the_case_fails_when_no_alert_comes_and_leaves_nothing_either(lab):
    """The thief sits at the developer's own desk: nothing tells them apart."""
    stack, node = lab
    done = _case(stack, node, node.line, 5)
    assert done.returncode == 1, done.stdout
    assert "no alert of source_range came" in done.stderr
    _is_as_before(stack, node)
