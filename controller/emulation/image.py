# SPDX-License-Identifier: Apache-2.0
"""The image of an emulation, made out of this machine's static busybox: no registry is asked."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from controller.emulation.place import EmulationError

if TYPE_CHECKING:
    from collections.abc import Mapping


def root_file_system() -> bytes:
    """A tar of what a container needs: busybox under all its names, accounts, a folder to write in."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise EmulationError(
            "there is no busybox to make an image of: apt install busybox-static, or --image"
        )
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=10)
    files: Mapping[str, tuple[bytes, int]] = {
        "bin/busybox": (Path(busybox).read_bytes(), 0o755),
        "etc/passwd": (b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644),
        "etc/shadow": (b"root:*:20000:0:99999:7:::\n", 0o640),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("bin", "etc", "proc", "sys", "dev", "root", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name, (content, mode) in files.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(content), mode
            tar.addfile(file, io.BytesIO(content))
        for applet in set(listed.stdout.split()) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return packed.getvalue()
