# SPDX-License-Identifier: Apache-2.0
"""Every detection that comes with nsentry is whole, and its rule keeps what its tests promise."""

from __future__ import annotations

import ast
import subprocess

import pytest

from controller.detect import catalogue, check, examples, programs
from controller.detect.catalogue import BUILT_IN

FOLDERS = catalogue.folders()
ALLOWED = {"controller.detect", "controller.detect.rule", "controller.detect.commands",
           "controller.detect.programs", "controller.detect.once", "controller.detect.destinations",
           "controller.detect.files", "controller.detect.baseline", "controller.detect.principal",
           "controller.detect.scans", "controller.detect.watchers", "controller.exposure"}  # fmt: skip
NAMES = [each.name for each in FOLDERS]


def test_there_are_detections():
    assert {"excess_privilege", "interactive_shell", "network_tool", "ns_join", "recon_credentials"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_whole_and_its_tests_pass(name):
    assert [str(each) for each in check.test(BUILT_IN / name)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_imports_nothing_but_what_rules_are_made_of(name):
    """A rule is a pure function: no clock, no file, no network, no database."""
    tree = ast.parse((BUILT_IN / name / "rule.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module in ALLOWED | {"__future__"}
        elif isinstance(node, ast.Import):
            assert [each.name for each in node.names] == ["re"]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_survives_events_of_which_next_to_nothing_is_known(name):
    """Unknown is None: no rule may fail on it, and none may take it for evidence of much."""
    nothing = {"process.exe": None, "process.filename": None, "process.argv": None, "process.user": None,
               "process.tty": None, "process.uid": 1000, "container.user": None, "container.caps": None,
               "container.name": None, "container.image": None, "container.id": None,
               "ns_container": None, "cgroup_container": None}  # fmt: skip
    detection = catalogue.load(BUILT_IN / name)
    visit = (
        examples.built({"docker-exec": {**nothing, "means": "unknown"}}, 1),
        examples.built({"command": {path: each for path, each in nothing.items() if "process" in path}}, 2),
    )
    assert examples.run(detection, visit) == []


BARE = sorted(
    {name for each in vars(programs).values() if isinstance(each, frozenset) for name in each}
    | {
        "chmod",
        "chown",
        "install",
        "cp",
        "mv",
        "ln",
        "dd",
        "tee",
        "nsenter",
        "unshare",
        "chroot",
        "mknod",
        "kill",
    }
)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_survives_programs_that_are_given_nothing(name):
    """`wget` alone, typed to see whether it is there: each program of the lists, executed and in a shell's text."""
    detection = catalogue.load(BUILT_IN / name)
    lines = [[each] for each in BARE] + [["sh", "-c", "; ".join(BARE)]]
    commands = [
        examples.built({"command": {"process.exe": f"/bin/{line[0]}", "process.argv": line}}, number)
        for number, line in enumerate(lines, 2)
    ]
    examples.run(detection, (examples.built({"docker-exec": {}}, 1), *commands))


@pytest.fixture(scope="module")
def all_examples():
    return [example for folder in FOLDERS for example in examples.load(folder)[0]]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_survives_what_all_others_were_tried_with(name, all_examples):
    """Records of every source, events of every kind: `run` raises what a rule raises."""
    detection = catalogue.load(BUILT_IN / name)
    for each in all_examples:
        amid = (each.normal, each.around)
        who = (each.principal, each.new_in)
        examples.run(detection, each.visit, each.record, None, each.earlier, who, amid)


@pytest.mark.parametrize("name", NAMES)
def test_the_emulation_is_a_shell_script_without_errors_of_syntax(name):
    subprocess.run(["sh", "-n", BUILT_IN / name / "emulate.sh"], check=True)
