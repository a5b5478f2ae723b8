# SPDX-License-Identifier: Apache-2.0
"""`detections` and `emulate`: what they print, what a program can read of it, and their exit codes."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from click.testing import CliRunner

from controller.cli import main
from controller.cli.state import State
from controller.detect.catalogue import BUILT_IN, folders
from controller.store import emulations

NAMES = [each.name for each in folders()]


@pytest.fixture
def run(tmp_path):
    """Runs a command over a state folder that holds nothing."""

    def run(*words):
        return CliRunner().invoke(main, ["--state", str(tmp_path / "none"), *words])

    return run


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_detections_are_listed_before_a_controller_was_ever_set_up(run):
    result = run("detections", "list", "--json")
    assert result.exit_code == 0
    assert [each["id"] for each in lines(result)] == NAMES
    first = lines(result)[0]
    assert set(first) >= {"title", "severity", "techniques", "description", "evaluations", "errors"}
    assert NAMES[0] in run("detections", "list").stdout


def test_test_says_ok_for_each_and_ends_with_0(run):
    result = run("detections", "test")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [f"ok  {name}" for name in NAMES]


def test_test_runs_only_the_ones_that_are_named(run):
    (only,) = lines(run("detections", "test", "ns_join", "--json"))
    assert (only["id"], only["ok"], only["problems"]) == ("ns_join", True, [])


def test_test_tells_each_problem_and_ends_with_1(run, tmp_path):
    shutil.copytree(BUILT_IN / "ns_join", tmp_path / "mine" / "ns_join")
    (tmp_path / "mine" / "ns_join" / "ADS.md").unlink()
    (tmp_path / "mine" / "ns_join" / "emulate.sh").unlink()
    result = run("detections", "test", "--root", str(tmp_path / "mine"))
    assert result.exit_code == 1
    assert "ADS.md:1: the file is missing" in result.stdout
    assert "emulate.sh:1: the file is missing" in result.stdout
    assert "1 of 1 detections have problems: ns_join" in result.stderr


def test_coverage_names_techniques_their_detections_and_that_none_is_proven_before_anything_ran(run):
    by_id = {each["technique"]: each for each in lines(run("detections", "coverage", "--json"))}
    assert {"excess_privilege", "interactive_shell", "ns_join"} <= set(by_id["T1609"]["detections"])
    assert by_id["T1609"]["tactics"] == ["execution"]
    assert {each["state"] for each in by_id.values()} == {"unproven"}
    assert "T1609" in run("detections", "coverage").stdout


def test_a_navigator_layer_has_every_technique_once(run, tmp_path):
    assert run("detections", "coverage", "--navigator", str(tmp_path / "layer.json")).exit_code == 0
    layer = json.loads((tmp_path / "layer.json").read_text())
    assert layer["versions"]["layer"] == "4.5"
    assert layer["domain"] == "enterprise-attack"
    ids = [each["techniqueID"] for each in layer["techniques"]]
    assert len(ids) == len(set(ids))
    assert {"T1609", "T1611", "T1613", "T1552.007", "T1059.004", "T1105", "T1046"} <= set(ids)


def test_emulate_lists_what_each_emulation_does(run):
    result = run("emulate", "list", "--json")
    assert [each["detection"] for each in lines(result)] == NAMES
    assert all(each["does"] for each in lines(result))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("detections", "test", "nothing"), 2, "no detection 'nothing'; there are"),
        (("emulate", "run"), 2, "name the detections to emulate, or --all"),
        (("emulate", "run", "ns_join", "--all"), 2, "name the detections to emulate, or --all"),
        (("emulate", "run", "nothing"), 2, "no detection 'nothing'"),
        (("emulate", "run", "ns_join"), 78, "init"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_exit_code_of_its_kind(run, words, code, said):
    result = run(*words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_docker_daemon_that_does_not_answer_is_unreachable(tmp_path):
    state = ["--state", str(tmp_path / "state")]
    assert CliRunner().invoke(main, [*state, "init"]).exit_code == 0
    nowhere = f"unix://{tmp_path}/no.sock"
    result = CliRunner().invoke(main, [*state, "emulate", "run", "ns_join", "--docker-host", nowhere])
    assert result.exit_code == 69
    assert f"no Docker answers at {nowhere}" in result.stderr
    assert "--docker-host" in result.stderr


@pytest.mark.parametrize(
    "words", [("detections", "list"), ("detections", "test"), ("detections", "coverage"), ("emulate", "run")]
)
def test_help_has_examples_one_a_line(run, words):
    lines = run(*words, "--help").stdout.splitlines()
    assert any(line.startswith("  Example") for line in lines)
    assert any(line.startswith(f"    nsentry-controller {' '.join(words)}") for line in lines)


def test_a_proof_is_stale_after_the_time_that_is_set_or_said(tmp_path):
    def run(*words):
        return CliRunner().invoke(main, ["--state", str(tmp_path), *words])

    assert run("init").exit_code == 0
    run_, began = "0123456789ab", time.time_ns() - 2 * 86_400 * 10**9

    def proven(connection):
        emulations.begin(connection, run_, "ns_join", "docker", began)
        emulations.ended(connection, run_, began, emulations.Outcome(fired=True))

    State(tmp_path).write(proven)

    def state(*words):
        told = lines(run("detections", "coverage", "--json", *words))
        return next(each for each in told if "ns_join" in each["detections"])["proofs"]["ns_join"]["state"]

    assert state() == "proven"
    with (tmp_path / "controller.toml").open("a") as file:
        file.write('[emulation]\nstale = "36h"\n')
    assert state() == "stale"
    assert state("--stale", "7") == "proven"
    wrong = (tmp_path / "controller.toml").read_text().replace("36h", "soon")
    (tmp_path / "controller.toml").write_text(wrong)
    refused = run("detections", "coverage")
    assert refused.exit_code == 78
    assert "stale is 'soon'; expected 12h, 30d" in refused.stderr
