# SPDX-License-Identifier: Apache-2.0
"""Detections of one's own, in the folder that `[detections]` names: known wherever nsentry's are."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from controller import settings
from controller.cli import main
from controller.detect import installed
from controller.detect.catalogue import BUILT_IN, folders


@pytest.fixture
def run(tmp_path):
    """Runs a command over a state folder whose settings name a folder of one's own, with `mine` in it."""
    state = tmp_path / "state"

    def run(*words):
        return CliRunner().invoke(main, ["--state", str(state), *words])

    assert run("init").exit_code == 0
    with (state / "controller.toml").open("a") as file:
        file.write('\ndetections = {folder = "own"}\n')
    (state / "own").mkdir()
    made = run("detections", "new", "mine", "--program", "masscan", "--technique", "T1046")
    assert made.exit_code == 0, made.output
    return run


def rows(result):
    return {
        each.get("id") or each.get("detection"): each for each in map(json.loads, result.stdout.splitlines())
    }


def test_a_new_one_is_made_in_the_folder_that_the_settings_name(run, tmp_path):
    assert (tmp_path / "state" / "own" / "mine" / "rule.py").is_file()
    assert "mine" not in [each.name for each in folders()]


def test_it_is_listed_tested_emulated_covered_and_may_be_excepted_beside_nsentry_s(run):
    listed = rows(run("detections", "list", "--json"))
    assert {"mine", "ns_join"} <= listed.keys()
    assert "mine" in rows(run("detections", "test", "mine", "--json"))
    assert "mine" in rows(run("emulate", "list", "--json"))
    covered = map(json.loads, run("detections", "coverage", "--json").stdout.splitlines())
    assert "mine" in next(each["detections"] for each in covered if each["technique"] == "T1046")
    assert run("detections", "backtest", "mine").exit_code == 0
    words = ("exceptions", "add", "quiet", 'container.image == "x"', "--reason", "r", "--expires", "1d")
    assert run(*words, "--detection", "mine").exit_code == 0
    assert run(*words, "--detection", "nobodys").exit_code == 2


def test_the_controller_runs_it_and_its_tests_fire(run, tmp_path):
    own = settings.load(tmp_path / "state").own_detections
    by_id = {each.id: each for each in installed.detections(own=own)[0]}
    assert (by_id["mine"].title, by_id["mine"].techniques) == ("Mine", ("T1046",))
    assert by_id.keys() > {each.name for each in folders()}


def test_one_with_the_name_of_nsentry_s_or_without_a_strategy_is_left_out_with_the_reason(run, tmp_path):
    own = tmp_path / "state" / "own"
    (own / "mine").rename(own / "ns_join")
    run("detections", "new", "other")
    (own / "other" / "ADS.md").unlink()
    loaded, problems = installed.detections(own=own)
    assert [each.id for each in loaded if each.folder.parent != BUILT_IN] == []
    assert [(each.path.parent.name, each.text.split(":")[0]) for each in problems] == [
        ("ns_join", "a detection of nsentry has this name"),
        ("other", "the file is missing"),
    ]


def test_a_folder_that_is_not_there_is_said_with_exit_code_78(run, tmp_path):
    (tmp_path / "state" / "own").rename(tmp_path / "elsewhere")
    result = run("detections", "list")
    assert result.exit_code == 78
    assert "make the folder, or set another" in result.stderr
