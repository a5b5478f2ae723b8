# SPDX-License-Identifier: Apache-2.0
"""The run of all tests: what failed by accident is named and does not stop the work, what is broken does."""

from __future__ import annotations

import subprocess

import pytest

from tests.__main__ import FAILED, TRIED_AGAIN_AT_MOST, Part
from tests.conftest import LEFT_OUT

UNSTEADY = """
from pathlib import Path
def test_steady():
    assert not Path("again").exists(), "only what failed is tried again"
def test_unsteady():
    seen = Path("seen")
    if not seen.exists():
        seen.touch()
        assert False
"""
BROKEN = """
import pytest
@pytest.mark.parametrize("n", range({failing}))
def test_broken(n):
    open("tries", "a").write("x")
    assert False
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a module of tests in an empty folder, and what failed again; the exit code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").touch()

    def run(text: str) -> int:
        module = tmp_path / "test_one.py"
        module.write_text(text)
        part = Part([str(module), "-q", "-p", "no:randomly"], tmp_path / "cache")
        part.forget()
        first = subprocess.run(part.command, check=False, capture_output=True).returncode
        (tmp_path / "again").touch()
        return part.again(first)

    return run


def test_a_test_that_passes_the_second_time_is_named_and_passes(run, capfd):
    assert run(UNSTEADY) == 0
    said = capfd.readouterr().out
    assert "UNSTEADY: failed, then passed: test_one.py::test_unsteady" in said
    assert "1 passed" in said


def test_a_test_that_fails_again_fails_the_run(run, tmp_path, capfd):
    assert run(BROKEN.format(failing=1)) == FAILED
    assert "UNSTEADY" not in capfd.readouterr().out
    assert (tmp_path / "tries").read_text() == "xx"


def test_many_failures_are_no_accident(run, tmp_path):
    many = TRIED_AGAIN_AT_MOST + 1
    assert run(BROKEN.format(failing=many)) == FAILED
    assert (tmp_path / "tries").read_text() == "x" * many


@pytest.mark.parametrize("code", [2, 3, 4, LEFT_OUT])
def test_a_run_that_did_not_end_or_left_tests_out_is_not_excused(tmp_path, code):
    part = Part([], tmp_path)
    (tmp_path / "v/cache").mkdir(parents=True)
    (tmp_path / "v/cache/lastfailed").write_text('{"test_one.py::test_unsteady": true}')
    assert part.again(code) == code
