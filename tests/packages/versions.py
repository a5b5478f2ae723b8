# SPDX-License-Identifier: Apache-2.0
"""A later version of built packages."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from vagrant.packages.told import VERSION

if TYPE_CHECKING:
    from pathlib import Path


def next_version(packages: dict[str, Path], folder: Path) -> list[Path]:
    """The same two deb packages with a higher version, as sensor.deb and controller.deb in `folder`."""
    made = []
    for name in ("sensor", "controller"):
        tree = folder / name
        subprocess.run(["dpkg-deb", "-R", packages[f"{name}.deb"], tree], check=True)
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace(f"Version: {VERSION}-1", f"Version: {VERSION}-2"))
        made.append(folder / f"{name}.deb")
        pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, made[-1]]
        subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
    return made
