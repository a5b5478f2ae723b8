# SPDX-License-Identifier: Apache-2.0
"""The files of each package, laid out in a folder as they will lie on the host.

/usr/lib/nsentry/sensor       the sensor's modules, the BPF sources and the object built of them
/usr/lib/nsentry/controller   the controller's modules, the wire, and the pinned packages that it carries
/etc/nsentry, units, man pages, completions
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from vagrant.packages import manual, pinned, told

ROOT: Final = Path(__file__).parents[2]
FILES: Final = Path(__file__).with_name("files")
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The controller's compiled packages are of this Python, the builder's, and its package depends on it."""
PIP: Final = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")


def sensor(tree: Path, project: Path) -> None:
    """Lay the sensor out below `tree`; `project` is what `unpack` gave. FileNotFoundError without the BPF object."""
    home = tree / "usr/lib/nsentry/sensor"
    for name in ("sensor", "bpf"):
        shutil.copytree(project / name, home / name)
    (home / "build").mkdir()
    shutil.copy(ROOT / "build/sensor.bpf.o", home / "build/sensor.bpf.o")
    _metadata(project, home)
    _write(tree / "etc/nsentry/sensor.toml", told.sensor_configuration())
    (tree / "etc/nsentry/conf.d").mkdir()
    _common(tree, "nsentry-sensor", FILES / "sensor/nsentry-sensor.service", section="8")


def controller(tree: Path, project: Path) -> None:
    """Lay the controller out below `tree`, with the packages that it needs."""
    home = tree / "usr/lib/nsentry/controller"
    carried = pinned.install(home, ROOT, PIP)
    shutil.copytree(project / "controller", home / "controller")
    shutil.copytree(project / "sensor/wire", home / "sensor/wire")
    shutil.copy(project / "sensor/__init__.py", home / "sensor/__init__.py")
    _metadata(project, home)
    _write(tree / "etc/nsentry/controller.toml", (FILES / "controller/controller.toml").read_text())
    _write(tree / "usr/share/doc/nsentry-controller/carried.txt", carried)
    _common(tree, "nsentry-controller", FILES / "controller/nsentry-controller.service", section="8")


def unpack(folder: Path) -> Path:
    """The project as pip would install it: what a wheel holds, below `folder`."""
    with tempfile.TemporaryDirectory() as made:
        build = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", made, str(ROOT))
        subprocess.run(build, check=True, stdout=sys.stderr)
        (wheel,) = Path(made).glob("*.whl")
        # pip and not zipfile: emulations have to stay executable.
        install = (*PIP, "install", "--no-deps", "--no-compile", "--target", str(folder), str(wheel))
        subprocess.run(install, check=True, stdout=sys.stderr)
    return folder


def settle(tree: Path, epoch: int) -> None:
    """Give all files one time and plain modes, so that the same commit makes the same package."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        os.utime(path, (epoch, epoch))


def text(path: Path) -> str:
    """A file of files/ with the Python of this build put in."""
    return path.read_text().replace("@VERSION@", PYTHON)


def _metadata(project: Path, home: Path) -> None:
    """The version is read from it. Where it was built from is nobody's business."""
    (found,) = project.glob("nsentry-*.dist-info")
    (home / found.name).mkdir(parents=True, exist_ok=True)
    shutil.copy(found / "METADATA", home / found.name / "METADATA")


def _common(tree: Path, program: str, unit: Path, section: str) -> None:
    command = tree / "usr/bin" / program
    _write(command, text(FILES / program))
    command.chmod(0o755)
    _write(tree / "usr/lib/systemd/system" / unit.name, unit.read_text())
    for name, page in manual.pages(program, section).items():
        _write(tree / f"usr/share/man/man{section}" / f"{name}.{section}.gz", page)
    for place, script in told.completions(program).items():
        _write(tree / "usr/share" / place, script)
    doc = tree / "usr/share/doc" / program
    for name in ("README.md", "CHANGELOG.md", "LICENSE"):
        _write(doc / ("copyright" if name == "LICENSE" else name), (ROOT / name).read_text())
    shutil.copytree(ROOT / "docs", doc / "docs", ignore=shutil.ignore_patterns("pictures"))


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode(), mtime=0))
    else:
        path.write_text(content, encoding="utf-8")
