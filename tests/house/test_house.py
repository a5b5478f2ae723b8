# SPDX-License-Identifier: Apache-2.0
"""Promises about the tracked files themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 400
ONE_TABLE = {"tests/sensor/test_spool.py"}
"""Longer, and one concept all the same: the promises of the spool."""


def _tracked(*patterns: str) -> list[Path]:
    """Files that git knows or would add, so that a new file is checked before its first commit."""
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(path for name in set(names.split("\0")) if name and (path := ROOT / name).is_file())


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def test_no_module_is_longer_than_one_concept_needs():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked("*.py", "bpf/*.[ch]")
        if (lines := _text(path).count("\n")) > LONGEST_MODULE
        and str(path.relative_to(ROOT)) not in ONE_TABLE
    }
    assert not long, f"more than {LONGEST_MODULE} lines: is each still one concept?"


@pytest.mark.parametrize(
    ("patterns", "licence"),
    [(("*.py",), "Apache-2.0"), (("bpf/*.c", "bpf/*.h", ":!bpf/stubs"), "GPL-2.0-only")],
)
def test_every_source_file_names_its_licence_in_its_first_line(patterns, licence):
    silent = [
        str(path.relative_to(ROOT))
        for path in _tracked(*patterns)
        if (text := _text(path).strip()) and f"SPDX-License-Identifier: {licence}" not in text.splitlines()[0]
    ]
    assert not silent


def _hosts_of_this_machine() -> set[str]:
    """Hosts that this machine gets packages from, unless they are the public ones that everybody knows."""
    texts = [
        path.read_text(errors="replace") for path in Path("/etc/apt").glob("sources.list*") if path.is_file()
    ]
    texts += [path.read_text(errors="replace") for path in Path("/etc/apt/sources.list.d").glob("*")]
    for command in ([sys.executable, "-m", "pip", "config", "list"], ["npm", "config", "get", "registry"]):
        if shutil.which(command[0]):
            texts.append(
                subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout
            )
    hosts = {
        host for text in texts for host in re.findall(r"://(?:[^/@\s'\"]*@)?([^/:\s'\"]+\.[^/:\s'\"]+)", text)
    }
    return {host for host in hosts if not re.search(r"(^|\.)(debian\.org|pypi\.org|npmjs\.org)$", host)}


def test_nothing_of_the_machine_it_was_written_on_stands_in_the_project():
    # A checkout directly under / would make the needle too short to mean anything.
    needles = _hosts_of_this_machine() | ({f"{ROOT}/"} if len(ROOT.parts) > 2 else set())
    found = [
        f"{path.relative_to(ROOT)}: {needle}"
        for path in _tracked()
        for needle in needles
        if needle in _text(path)
    ]
    assert not found


def test_only_whole_locks_are_installed_from():
    makefile = (ROOT / "Makefile").read_text()
    installs = [line for line in makefile.splitlines() if "pip install" in line and "build/lock" not in line]
    assert installs
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)


def test_no_file_holds_two_versions_of_itself():
    """What git writes where two changes met, and nobody chose."""
    marks = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
    assert [str(path) for path in _tracked() if marks.search(path.read_bytes())] == []
