# SPDX-License-Identifier: Apache-2.0
"""A containerd of the tests' own: its root, state, socket, images and pods' network apart from any other.

The bridge of the pods is in the host's network namespace, for pods with hostNetwork are to be in the host's; it
has no address, so nothing of the machine goes there. What is special to machines with fewer rights than root
has elsewhere: `restrict_oom_score_adj`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.runtimes import oci
from tests.runtimes.cri import Pods
from vagrant.local.dockerd import root_file_system

CONTAINERD = "/usr/bin/containerd"
CTR = "/usr/bin/ctr"
RUNC = shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin:/bin") or "/usr/sbin/runc"
CNI = "/usr/lib/cni"
PAUSE = Path(__file__).with_name("pause.c")
IMAGE = "localhost/busybox:test"
PAUSE_IMAGE = "localhost/pause:test"
START_S = 60.0
STOP_S = 20.0

_CONFIG = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "localhost/pause:test"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/plugins"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{folder}/runc"
"""


_TUNE = """#!/bin/sh
# A CNI plugin as many are: it executes a program in the pod's network, joined as a person would.
given=$(cat)
case $CNI_COMMAND in
VERSION) echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.4.0"]}' ;;
ADD)
    nsenter --net="$CNI_NETNS" ip link set lo up
    printf '%s' "$given" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["prevResult"]))'
    ;;
*) [ ! -e "$CNI_NETNS" ] || nsenter --net="$CNI_NETNS" ip link show lo >/dev/null ;;
esac
"""


class Containerd:
    """One daemon; a context manager. `pods` is its CRI, `ctr` its own client, `runc` what is below both."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nsc-"))
        self.socket = self.folder / "containerd.sock"
        self.pods = Pods(str(self.socket))
        # At most 15 bytes: IFNAMSIZ.
        self._bridge = f"nsc{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The daemon's pid."""
        assert self._process is not None
        return self._process.pid

    def _start(self) -> None:
        (self.folder / "config.toml").write_text(_CONFIG.format(folder=self.folder), encoding="ascii")
        (self.folder / "cni").mkdir()
        (self.folder / "plugins").mkdir()
        for name in ("bridge", "host-local", "loopback"):
            (self.folder / "plugins" / name).symlink_to(f"{CNI}/{name}")
        tune = self.folder / "plugins" / "tune"
        tune.write_text(_TUNE, encoding="ascii")
        tune.chmod(0o755)
        (self.folder / "cni" / "10-pods.conflist").write_text(json.dumps(self._network()), encoding="ascii")
        with (self.folder / "containerd.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", CONTAINERD, "--config", self.folder / "config.toml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            )
        deadline = time.monotonic() + START_S
        while not self.pods.ready():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        pause = self.folder / "pause"
        subprocess.run(["gcc", "-static", "-Os", "-s", "-o", pause, PAUSE], check=True)
        for namespace, reference, layer in (
            ("k8s.io", PAUSE_IMAGE, oci.tar_of({"pause": pause.read_bytes()})),
            ("k8s.io", IMAGE, root_file_system()),
            ("default", IMAGE, root_file_system()),
        ):
            entry = ["/pause"] if reference == PAUSE_IMAGE else []
            self.ctr("images", "import", "-", namespace=namespace, stdin=oci.archive(reference, layer, entry))

    def _network(self) -> dict[str, Any]:
        ipam = {
            "type": "host-local",
            "dataDir": f"{self.folder}/ipam",
            "ranges": [[{"subnet": "198.18.64.0/24"}]],
        }
        bridge = {"type": "bridge", "bridge": self._bridge, "isGateway": False, "ipam": ipam}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "tune"}]}

    def ctr(self, *arguments: str, namespace: str = "default", stdin: bytes = b"") -> str:
        """Run the client; what it printed."""
        command = self.client(*arguments, namespace=namespace)
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr.decode(), self.log())
        return done.stdout.decode()

    def client(self, *arguments: str, namespace: str = "default") -> list[str]:
        """The client's command line."""
        return [CTR, "-a", str(self.socket), "-n", namespace, *arguments]

    def runc(self, *arguments: str, namespace: str = "k8s.io") -> list[str]:
        """The command line of runc on the containers of this daemon."""
        root = self.folder / "runc" if namespace == "k8s.io" else Path("/run/containerd/runc")
        return [RUNC, "--root", str(root / namespace), *arguments]

    def init_pid(self, container: str, namespace: str = "k8s.io") -> int:
        """The host's pid of a container's first process."""
        bundle = self.folder / "state" / "io.containerd.runtime.v2.task" / namespace / container
        return int((bundle / "init.pid").read_text(encoding="ascii"))

    def log(self) -> str:
        """The end of the daemon's log."""
        return (self.folder / "containerd.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def stop(self) -> None:
        """Remove the pods, stop the daemon, leave no process, mount or network behind."""
        if self._process is not None and self._process.poll() is None:
            self.pods.remove_all()
            self._process.terminate()
            self._process.wait(STOP_S)
        deadline = time.monotonic() + STOP_S
        while (left := list(self.left())) and time.monotonic() < deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        subprocess.run(["ip", "link", "del", self._bridge], check=False, capture_output=True)
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        for point in sorted((line.split()[4] for line in mounts if f" {self.folder}/" in line), reverse=True):
            subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def left(self) -> Iterator[int]:
        """The shims of this daemon, each after its children."""
        mark = os.fsencode(self.folder) + b"/"
        for entry in Path("/proc").iterdir():
            try:
                argv = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
                if mark in argv and b"containerd-shim" in argv.split(b"\0", 1)[0]:
                    children = (entry / "task" / entry.name / "children").read_text(encoding="ascii")
                    yield from map(int, children.split())
                    yield int(entry.name)
            except OSError:
                continue
