# SPDX-License-Identifier: Apache-2.0
"""The Python packages that the controller's package carries.

No distribution that we know has them all in the versions that the controller needs (Debian 12: Starlette 0.26,
SQLAlchemy 1.4, no msgspec). So its package brings its own, each by the digest of requirements.lock, in a folder
that only it looks into. That makes us answer for their updates: carried.txt in the package's documentation lists
what is inside, for whoever checks for known flaws.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

NOT_CARRIED: Final = {"dev"}
"""Extras whose packages are for those who work on nsentry."""


def install(home: Path, root: Path, pip: Sequence[str]) -> str:
    """Put the packages below `home`; the list of them with versions and licences.

    `root` is the checkout, `pip` the command. Raises CalledProcessError.
    """
    lock = root / "requirements.lock"
    command = (*pip, "install", "--require-hashes", "--no-compile", "--only-binary", ":all:")
    subprocess.run((*command, "--target", str(home), "-r", str(lock)), check=True, stdout=sys.stderr)
    shutil.rmtree(home / "bin", ignore_errors=True)
    there: dict[str, Distribution] = {
        canonicalize_name(each.name): each for each in distributions(path=[str(home)])
    }
    needed = _closure(_wanted(root / "pyproject.toml", there), there)
    for name in there.keys() - needed:
        _remove(there[name], home)
    for record in home.glob("*.dist-info/RECORD"):
        record.unlink()  # names files that are gone, and no pip is to change what dpkg or rpm holds
    return "".join(sorted(_line(there[name]) for name in needed))


def _wanted(pyproject: Path, there: Iterable[str]) -> list[Requirement]:
    """What the project and its extras ask for, as far as the lock has it."""
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = project["optional-dependencies"].items()
    named = [
        *project["dependencies"],
        *(one for extra, all_ in extras if extra not in NOT_CARRIED for one in all_),
    ]
    return [one for one in map(Requirement, named) if canonicalize_name(one.name) in set(there)]


def _closure(wanted: list[Requirement], there: dict[str, Distribution]) -> set[str]:
    """Those and all that they need in turn, here."""
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        one = todo.pop()
        name = canonicalize_name(one.name)
        if name in found or name not in there:
            continue
        found.add(name)
        needed = map(Requirement, there[name].requires or ())
        todo += [each for each in needed if _applies(each, one.extras)]
    return found


def _applies(needed: Requirement, extras: set[str]) -> bool:
    marker = needed.marker
    return marker is None or any(marker.evaluate({"extra": each}) for each in ("", *extras))


def _remove(unneeded: Distribution, home: Path) -> None:
    for file in unneeded.files or ():
        path = home / file
        if path.is_relative_to(home) and ".." not in file.parts:
            path.unlink(missing_ok=True)
    for folder in sorted((each for each in home.rglob("*") if each.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _line(one: Distribution) -> str:
    licence = (
        one.metadata.json.get("license_expression") or one.metadata.json.get("license") or "see its metadata"
    )
    return f"{canonicalize_name(one.name)} {one.version}: {' '.join(str(licence).split())[:60]}\n"
