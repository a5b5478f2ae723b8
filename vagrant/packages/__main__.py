# SPDX-License-Identifier: Apache-2.0
"""`python -m vagrant.packages [OUT [NAME...]]`: deb and rpm of sensor and controller, into OUT (build/packages)."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from vagrant.packages import nfpm, trees


def main(arguments: list[str]) -> int:
    """Build; prints each package's path."""
    out = Path(arguments[0]) if arguments else trees.ROOT / "build/packages"
    for old in out.glob("nsentry-*"):
        old.unlink()
    epoch = _epoch()
    os.umask(0o022)
    with TemporaryDirectory(prefix="nsp-") as made:
        work = Path(made)
        project = trees.unpack(work / "project")
        for package, lay in ((nfpm.SENSOR, trees.sensor), (nfpm.CONTROLLER, trees.controller)):
            if arguments[1:] and package.name not in arguments[1:]:
                continue
            tree = work / package.name
            tree.mkdir()
            lay(tree, project)
            trees.settle(tree, epoch)
            for path in nfpm.build(package, tree, out, epoch, platform.machine()):
                print(path)
            shutil.rmtree(tree)
    return 0


def _epoch() -> int:
    """The time that everything bears: SOURCE_DATE_EPOCH, else that of the commit, else that of pyproject.toml."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    ask = ["git", "-C", str(trees.ROOT), "log", "-1", "--format=%ct"]
    told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    return int(told) if told else int((trees.ROOT / "pyproject.toml").stat().st_mtime)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
