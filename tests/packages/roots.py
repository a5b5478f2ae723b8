# SPDX-License-Identifier: Apache-2.0
"""A clean Debian root to install packages into: unpacked once, entered in namespaces of its own."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.vm.kernels import CACHE, mirror

SUITE: Final = "bookworm"
BASE: Final = CACHE / "root.tar"
_INCLUDE: Final = "python3,ca-certificates,man-db,bash-completion"
_ENTER: Final = """
mount -t proc proc {root}/proc
# A bpffs of its own: what is unpinned in the root is nothing of this machine's.
mkdir -p {root}/sys/fs/bpf
mount -t bpf bpf {root}/sys/fs/bpf
mount --bind /dev/null {root}/dev/null
exec chroot {root} "$@"
"""


def lacking() -> str | None:
    """Why there can be no root here."""
    missing = [tool for tool in ("mmdebstrap", "rpm") if shutil.which(tool) is None]
    return f"{', '.join(missing)} missing; make test installs them" if missing else None


@dataclass(frozen=True)
class Root:
    """A root folder."""

    path: Path

    def run(self, *command: str, check: bool = True, apart: bool = False) -> subprocess.CompletedProcess[str]:
        """A command in it, as root, with a /proc and mounts that end with it, and whatever it started.

        `apart`: in a network of its own, that ends with it too.
        """
        script = ("ip link set lo up\n" if apart else "") + _ENTER.format(root=self.path)
        network = ["--net"] if apart else []
        return subprocess.run(
            [
                "unshare",
                *network,
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-ec",
                script,
                "sh",
                *command,
            ],
            check=check,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
            },
        )

    def has(self, place: str) -> bool:
        """Whether a path is there, in the root's own eyes."""
        return (self.path / place.lstrip("/")).is_symlink() or (self.path / place.lstrip("/")).exists()


def make(folder: Path) -> Root:
    """A new root of Debian's release, with Python and nothing else of ours. LookupError without a mirror."""
    if not BASE.exists():
        BASE.parent.mkdir(parents=True, exist_ok=True)
        part = BASE.with_suffix(".part")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_INCLUDE}", "--format=tar"]
        subprocess.run([*command, SUITE, part, mirror()], check=True, capture_output=True)
        part.rename(BASE)
    subprocess.run(["tar", "-C", folder, "-xf", BASE], check=True)
    return Root(folder)
