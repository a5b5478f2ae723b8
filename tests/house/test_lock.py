# SPDX-License-Identifier: Apache-2.0
"""What is installed is what was pinned: name, version and digest, from wherever it comes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.lock import HEADER, dependencies_digest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def _pins(lock: str) -> dict[str, tuple[str, int]]:
    """Version and number of digests by package."""
    pins: dict[str, tuple[str, int]] = {}
    name = ""
    for line in (ROOT / lock).read_text().splitlines():
        if match := re.fullmatch(r"([a-z0-9-]+)==([^ ]+) \\", line):
            name = match[1]
            pins[name] = (match[2], 0)
        elif re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line):
            pins[name] = (pins[name][0], pins[name][1] + 1)
        else:
            assert line.startswith("#"), f"{lock}: {line!r} is neither a pin nor a digest"
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_of_the_dependencies_that_stand_in_pyproject(lock):
    header = (ROOT / lock).read_text().splitlines()[0]
    assert header == HEADER + dependencies_digest(ROOT / "pyproject.toml"), "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_digest_and_no_line_names_where_it_comes_from(lock):
    pins = _pins(lock)
    assert pins
    assert not [name for name, (_, digests) in pins.items() if digests == 0]


def test_every_dependency_is_pinned_within_its_bounds():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = settings["project"]["optional-dependencies"]
    run = settings["build-system"]["requires"] + settings["project"]["dependencies"] + extras["controller"]
    for lock, wanted in (("requirements.lock", run), ("requirements-dev.lock", run + extras["dev"])):
        pins = _pins(lock)
        for requirement in map(Requirement, wanted):
            version, _ = pins[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{lock}: {requirement} is pinned to {version}"


def test_tests_run_with_the_very_packages_that_users_get():
    run, dev = (_pins(lock) for lock in LOCKS)
    assert run.items() <= dev.items()
