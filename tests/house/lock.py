# SPDX-License-Identifier: Apache-2.0
"""Ties the lock files to the dependencies that they were made from: `make lock` runs this last.

Each lock begins with a digest of the dependencies of pyproject.toml, so that a change there without a new
lock is noticed (test_lock.py) without a network.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from pathlib import Path

HEADER = "# Made by `make lock` from the dependencies of pyproject.toml, whose digest is "


def dependencies_digest(pyproject: Path) -> str:
    """SHA-256 over all dependencies that the project names, build requirements included."""
    settings = tomllib.loads(pyproject.read_text())
    named = [
        settings["build-system"]["requires"],
        settings["project"]["dependencies"],
        settings["project"]["optional-dependencies"],
    ]
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def main(paths: list[str]) -> None:
    """Put the header at the top of each lock."""
    digest = dependencies_digest(Path("pyproject.toml"))
    for path in map(Path, paths):
        path.write_text(f"{HEADER}{digest}\n{path.read_text()}")


if __name__ == "__main__":
    main(sys.argv[1:])
