# SPDX-License-Identifier: Apache-2.0
"""A new detection's folder: its tests are green at once, and what is left to say is listed by file and line."""

from __future__ import annotations

import pytest

from controller.detect import catalogue, check, examples, scaffold
from tests.controller.detect.building import command, event

VISIT = (event("docker-exec"), command(2, "masscan", "-p80", "10.0.0.0/8"))


@pytest.mark.parametrize("visit", [(), VISIT])
def test_its_own_tests_are_green_and_only_the_words_are_left(tmp_path, visit):
    folder = scaffold.write(tmp_path, "my_scanner", "T1046", "masscan", visit)
    found, bad = examples.load(folder)
    assert not bad
    assert len(found) == 3
    assert examples.failures(catalogue.load(folder), found) == []
    left = check.test(folder)
    assert left
    assert {each.path.name for each in left} == {"ADS.md"}
    assert all("filler" in each.text for each in left)


def test_a_program_that_needs_quoting_is_quoted(tmp_path):
    folder = scaffold.write(tmp_path, "my_tool", "T1609", "no")
    found, bad = examples.load(folder)
    assert not bad
    assert examples.failures(catalogue.load(folder), found) == []


@pytest.mark.parametrize("name", ["", "../x", "A", "my-scanner", "x_", "a b"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(scaffold.ScaffoldError, match="name"):
        scaffold.write(tmp_path, name, "T1609", "curl")
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_written_over(tmp_path):
    scaffold.write(tmp_path, "my_tool", "T1609", "curl")
    with pytest.raises(scaffold.ScaffoldError, match="there already"):
        scaffold.write(tmp_path, "my_tool", "T1609", "curl")
