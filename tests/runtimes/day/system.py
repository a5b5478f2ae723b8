# SPDX-License-Identifier: Apache-2.0
"""systemd as a container's first process: services in namespaces of their own, and a timer that starts one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.runtimes.oci import tar_of

SYSTEMD = "/lib/systemd/systemd"
_UNITS = {
    "default.target": "[Unit]\nWants=job.timer long.service\n",
    **dict.fromkeys(("basic.target", "sysinit.target", "timers.target", "sockets.target"), "[Unit]\n"),
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "job.timer": "[Timer]\nOnActiveSec=1\nOnUnitActiveSec=1\nAccuracySec=100ms\n",
    "job.service": "[Service]\nType=oneshot\nPrivateTmp=yes\nProtectSystem=strict\nPrivateNetwork=yes\n"
    "ExecStart=/bin/sh -c 'id; hostname'\n",
    "long.service": "[Service]\nPrivateMounts=yes\nExecStart=/bin/sleep 1000\n",
}


def context(folder: Path, image: str) -> None:
    """What an image of systemd is built from, on top of `image`: this machine's own, with its libraries."""
    linked = subprocess.run(["ldd", SYSTEMD], capture_output=True, text=True, check=True).stdout
    programs = [SYSTEMD, *re.findall(r"(/\S+) \(0x", linked)]
    files = {path.lstrip("/"): Path(path).read_bytes() for path in programs}
    files |= {f"etc/systemd/system/{name}": text.encode() for name, text in _UNITS.items()}
    files["etc/machine-id"] = b"0123456789abcdef0123456789abcdef\n"
    (folder / "files.tar").write_bytes(tar_of(files))
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nADD files.tar /\nENV container=docker\nSTOPSIGNAL SIGRTMIN+3\n"
        f'CMD ["{SYSTEMD}", "--log-target=console", "--show-status=no"]\n',
        encoding="ascii",
    )


def options() -> list[str]:
    """How it is run: it mounts, and makes cgroups for its services below the container's."""
    v1 = Path("/sys/fs/cgroup/systemd")
    cgroups = v1 if v1.exists() else Path("/sys/fs/cgroup")
    return [
        "-t",
        "--cap-add=SYS_ADMIN",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--cgroupns=host",
        "--tmpfs=/run",
        "--tmpfs=/tmp",
        f"--volume={cgroups}:{cgroups}",
    ]
