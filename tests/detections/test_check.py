# SPDX-License-Identifier: Apache-2.0
"""A folder that is not a detection is refused, with everything that is wrong with it, at its line."""

from __future__ import annotations

import shutil

import pytest

from controller.detect import check
from controller.detect.catalogue import BUILT_IN


@pytest.fixture
def folder(tmp_path):
    """A whole one to break."""
    return shutil.copytree(BUILT_IN / "ns_join", tmp_path / "ns_join")


def problems(folder):
    return [f"{each.path.name}:{each.line}: {each.text}" for each in check.test(folder)]


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def line_of(path, text):
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_a_whole_folder_has_no_problem(folder):
    assert problems(folder) == []


def test_an_empty_folder_is_told_all_that_it_lacks_at_once(tmp_path):
    (tmp_path / "new_one").mkdir()
    found = problems(tmp_path / "new_one")
    for name in ("rule.py", "ADS.md", "tests.yaml", "emulate.sh"):
        assert f"{name}:1: the file is missing" in found
    assert "tests.yaml:1: the file is missing" in found


@pytest.mark.parametrize("name", check.SECTIONS)
def test_each_section_must_be_there(folder, name):
    change(folder / "ADS.md", f"## {name}\n", "")
    assert f"ADS.md:1: the section {name} is missing" in problems(folder)


@pytest.mark.parametrize("name", check.SECTIONS)
def test_no_section_may_be_empty(folder, name):
    path = folder / "ADS.md"
    before, heading, after = path.read_text().partition(f"## {name}\n")
    rest = after.partition("\n## ")
    path.write_text(before + heading + rest[1] + rest[2])
    assert f"ADS.md:{line_of(path, heading.strip())}: the section {name} is empty" in problems(folder)


def test_the_order_of_the_sections_is_the_framework_s(folder):
    path = folder / "ADS.md"
    change(path, "## Priority\n", "## Swap\n")
    change(path, "## Response\n", "## Priority\n")
    change(path, "## Swap\n", "## Response\n")
    at = line_of(path, "## Response")
    assert f"ADS.md:{at}: Response stands where Priority belongs: the order is fixed" in problems(folder)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("T1611", "T9999", "T9999 is no technique of the vendored slice of ATT&CK"),
        ("T1611", "that", "Categorization does not name T1611, which the rule has"),
        ("emulate.sh", "something", "Validation does not name the emulation, emulate.sh"),
        ("**Contain.**", "Contain.", 'Response has no step "**Contain.**" with a command in `backticks`'),
        ("A process that joined before", "TODO before", "filler instead of a statement: - TODO before"),
    ],
)
def test_the_document_must_be_about_this_detection(folder, old, new, expected):
    change(folder / "ADS.md", old, new)
    assert any(expected in each for each in problems(folder))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("TITLE =", "NAME =", "rule.py:1: TITLE is missing"),
        ("SEVERITY =", "GRAVITY =", "rule.py:1: SEVERITY is missing"),
        ("TECHNIQUES =", "OTHERS =", "rule.py:1: TECHNIQUES is missing"),
        (
            "def rule(visit: Visit, event",
            "def rule(event",
            "rule.py:1: there is no function rule(visit, event)",
        ),
        ("    joined =", "   joined =", "is not Python"),
        ('TITLE = "', 'TITLE = 1 / 0  # "', "fails when loaded: ZeroDivisionError"),
        ('("T1609", "T1611")', '("T1609", "T0000")', "T0000 is no technique of the vendored slice"),
        ('    """Fires on', "\n" * 60 + '    """Fires on', "a rule has at most 60"),
    ],
)
def test_the_rule_must_load_and_say_what_it_is(folder, old, new, expected):
    change(folder / "rule.py", old, new)
    assert any(expected in each for each in problems(folder))


def test_a_rule_that_fails_when_loaded_is_told_by_its_line(folder):
    path = folder / "rule.py"
    change(path, 'TITLE = "', 'TITLE = 1 / 0  # "')
    assert any(each.startswith(f"rule.py:{line_of(path, '1 / 0')}:") for each in problems(folder))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("fires: high", "fires: maybe", "`fires` is low, medium, high, critical or no"),
        ("- name: nsenter -a\n", "- title: nsenter -a\n", "a test has `name`, `fires`, `visit`"),
        ("namespaces: [mnt]", "namespaces: [mmt]", "event 1 is not a wire event"),
        ("entered_by.comm: kworker", "entered.comm: kworker", "'entered.comm' is no path of a entry"),
        ("    - docker-exec: {}", "    - docker: {}", "event 1: there is no 'docker' in base.yaml"),
        ("    - docker-exec: {}", "    - update: {}", "a visit begins with an event, not with an update"),
        ("  fires: high", "  fires: low", "'nsenter -a' must give low, gave high"),
        ("because: /usr/bin/nsenter", "because: lxc-attach", "'nsenter -a': no reason has 'lxc-attach"),
        ("- name: nsenter -a", "- name: a docker exec that failed", "another test is called"),
        ("- name: nsenter -a", "- name: [", "is not YAML"),
    ],
)
def test_the_tests_must_be_events_and_pass(folder, old, new, expected):
    change(folder / "tests.yaml", old, new)
    assert any(expected in each for each in problems(folder)), problems(folder)


def test_every_bad_test_is_told_in_one_run_by_its_line(folder):
    path = folder / "tests.yaml"
    path.write_text("- name: a\n- name: b\n  fires: maybe\n  visit: []\n")
    assert [each.split(": ")[0] for each in problems(folder)] == ["tests.yaml:1", "tests.yaml:2"]


def test_positive_and_negative_tests_are_required(folder):
    (folder / "tests.yaml").write_text("- {name: a, fires: no, visit: [docker-exec: {}]}\n")
    assert problems(folder) == [
        "tests.yaml:1: no test in which the rule fires",
        "tests.yaml:1: fewer than 2 tests in which the rule must not fire",
    ]


def test_a_rule_that_raises_fails_its_test(folder, caplog):
    change(folder / "rule.py", "    joined =", "    visit.nothing\n    joined =")
    assert any("the rule raised an exception" in each for each in problems(folder))


def test_the_emulation_must_be_one_that_runs(folder):
    path = folder / "emulate.sh"
    path.chmod(0o644)
    change(path, "#!/bin/sh", "# nothing")
    change(path, "set -eu", "true")
    assert problems(folder) == [
        "emulate.sh:1: does not begin with #! and its interpreter",
        "emulate.sh:1: is not executable (chmod +x)",
        "emulate.sh:1: does not use `set -eu`: it must stop at the first failure",
    ]


def test_a_name_is_one_that_a_person_can_type(folder):
    bad = folder.rename(folder.with_name("Bad-Name"))
    assert "Bad-Name:1: the name is not like ns_join" in problems(bad)
