# SPDX-License-Identifier: Apache-2.0
"""The command line's contract: help with examples, `--json` on reads, exit codes, harmless output."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import subprocess

import click
import pytest
from click.testing import CliRunner

from controller.cli import main
from controller.cli.report import span
from tests.controller import make
from tests.controller.cli.conftest import HOSTILE, visit_alert
from tests.controller.serving import PROGRAM

OURS = "controller.cli."


def commands(group=main, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


def test_the_verbs_of_the_contract_are_there():
    wanted = {
        *((verb,) for verb in ("serve", "init", "doctor", "login-link", "report")),
        *(("export", what) for what in ("alerts", "events", "stored")),
        *(("exceptions", verb) for verb in ("add", "list", "remove")),
        ("token", "create"),
        *(("sensors", verb) for verb in ("list", "show", "revoke")),
        *(
            (noun, verb)
            for noun in ("entries", "sessions", "alerts", "containers")
            for verb in ("list", "show")
        ),
        *(
            ("alerts", verb)
            for verb in ("ack", "assign", "close", "comment", "investigate", "reopen", "tail")
        ),
        *(("detections", verb) for verb in ("list", "test", "coverage")),
        *(("emulate", verb) for verb in ("list", "run")),
    }
    assert wanted <= set(ALL)


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if path != ("version",)])
def test_every_command_explains_itself_with_an_example(path):
    done = CliRunner().invoke(main, [*path, "--help"])

    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"nsentry-controller {' '.join(path)}" in done.stdout


@pytest.mark.parametrize(
    "path", [path for path in ALL if path[-1] in {"list", "show", "doctor", "create", "tail"}]
)
def test_every_read_offers_json(path):
    assert "--json" in CliRunner().invoke(main, [*path, "--help"]).stdout


@pytest.mark.parametrize("noun", ["entries", "sessions", "alerts", "containers", "sensors"])
def test_lists_print_one_object_a_line_in_plain_ascii(ok, noun):
    printed = ok(noun, "list", "--json")

    assert printed.isascii()
    assert printed.count("\n") == len([json.loads(line) for line in printed.splitlines()]) > 0


def test_an_entry_has_everything_that_the_contract_names(ok):
    first = json.loads(ok("entries", "list", "--kind", "entry", "--json"))

    assert set(first) >= {
        *(
            "id",
            "time",
            "time_ns",
            "host",
            "host_id",
            "means",
            "namespaces",
            "verdict",
            "ancestry",
            "entered_by",
        ),
        *("principal", "record", "confidence", "session", "missing", "sentence"),
    }
    assert set(first["container"]) >= {"id", "name", "image", "runtime", "labels", "pod"}
    assert set(first["process"]) >= {"pid", "exe", "argv", "cwd", "uid", "caps", "tty"}
    assert first["process"]["argv"] == HOSTILE


@pytest.mark.parametrize(
    "words",
    [
        ("entries", "list"),
        ("entries", "show", make.event_id(2)),
        ("sessions", "list"),
        ("sessions", "show", make.session_id()),
        ("alerts", "list"),
        ("containers", "list"),
        ("containers", "show", "web"),
        ("sensors", "list"),
        ("sensors", "show", "n1"),
    ],
)
def test_what_people_read_cannot_steer_their_terminal(ok, words):
    printed = ok(*words)

    assert printed.strip()
    assert all(line.isprintable() for line in printed.splitlines()), printed


def test_an_alert_page_answers_who_what_where_how(ok):
    alert = visit_alert(ok)
    page = ok("alerts", "show", alert["id"])

    for expected in (
        "ada on n1",
        "container",
        "web",
        "busybox:demo",
        "ns-join",
        "curl http://192.0.2.1/x",
        "exit 7",
    ):
        assert expected in page
    assert "signal 9" in page
    assert page.index("\\x1b]0;owned") < page.index("curl http")
    assert json.loads(ok("alerts", "show", alert["id"], "--json"))["visit"]["executions"][1]["code"] == 7


def test_an_alert_is_acknowledged_and_closed_with_a_reason(run, ok, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ada")
    alert = visit_alert(ok)

    assert "assigned to ada" in ok("alerts", "ack", alert["id"])
    assert run("alerts", "close", alert["id"], "--as", "false_positive").exit_code == 2
    assert run("alerts", "close", alert["id"], "--as", "false_positive", "--reason", " ").exit_code == 1
    ok("alerts", "close", alert["id"], "--as", "false_positive", "--reason", "a drill")

    assert alert["id"] not in ok("alerts", "list", "--json")
    shown = json.loads(ok("alerts", "show", alert["id"], "--json"))
    assert (shown["state"], shown["close_reason"], shown["assignee"]) == ("false_positive", "a drill", "ada")
    assert [(step["actor"], step["action"]) for step in shown["history"]][-3:] == [
        ("ada", "state"),
        ("ada", "assign"),
        ("ada", "state"),
    ]
    assert alert["id"] in ok("alerts", "list", "--state", "false_positive", "--json")
    assert alert["id"] in ok("alerts", "list", "--state", "all", "--json")


def test_an_alert_is_given_away_looked_into_and_commented_on(run, ok, monkeypatch):
    """What the page can do, the command can: each with its author in the history."""
    monkeypatch.setenv("SUDO_USER", "ada")
    alert = visit_alert(ok)["id"]
    run("alerts", "reopen", alert)  # another test may have closed it
    ok("alerts", "ack", alert)
    ok("alerts", "assign", alert, "--to", "bob")
    ok("alerts", "investigate", alert)
    ok("alerts", "comment", alert, "asked bob \x1b[2J")
    shown = json.loads(ok("alerts", "show", alert, "--json"))
    assert (shown["state"], shown["assignee"]) == ("investigating", "bob")
    assert [(step["actor"], step["action"]) for step in shown["history"]][-3:] == [
        ("ada", "assign"),
        ("ada", "state"),
        ("ada", "comment"),
    ]
    ok("alerts", "assign", alert, "--nobody")
    assert json.loads(ok("alerts", "show", alert, "--json"))["assignee"] is None
    assert run("alerts", "assign", alert, "--nobody", "--to", "bob").exit_code == 2
    assert run("alerts", "comment", "nothing", "text").exit_code == 1
    assert run("alerts", "comment", alert, " ").exit_code == 1


@pytest.mark.parametrize("noun", ["entries", "sessions", "alerts", "containers", "sensors"])
def test_what_is_not_there_is_a_failure_with_advice(run, noun):
    done = run(noun, "show", "no\x1bthing")

    assert done.exit_code == 1
    assert f"nsentry-controller {noun} list" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("entries", "list", "--since", "yesterday"),
        ("entries", "list", "--limit", "0"),
        ("entries", "list", "--means", "docker_exec"),
        ("sessions", "list", "--means", "nsenter"),
        ("alerts", "list", "--severity", "hihg"),
        ("alerts", "list", "--state", "closed"),
        ("token", "create", "--ttl", "forever"),
        ("token", "create", "--ttl", "31d"),
        ("token", "create", "--uses", "0"),
        ("login-link", "--user", "\x1b"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_code_2(run, words):
    assert run(*words).exit_code == 2


def test_filters_narrow_the_lists(ok):
    def count(*words):
        return len(ok(*words, "--json").splitlines())

    assert count("entries", "list") == 2
    assert count("entries", "list", "--means", "docker-exec") == 0
    assert count("entries", "list", "--container", make.CONTAINER[:12]) == 2
    assert count("entries", "list", "--container", make.CONTAINER[:11]) == 0
    assert count("entries", "list", "--since", "2026-11-18T11:06:45Z") == 1
    assert count("entries", "list", "--until", "2026-11-18T11:06:45Z") == 1
    assert count("entries", "list", "--host", "n1", "--limit", "1") == 1
    assert count("sessions", "list", "--open") == 1
    assert count("containers", "list", "--running") == 1


def test_nothing_to_show_is_no_failure(run):
    done = run("entries", "list", "--means", "docker-exec")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "Nothing matches" in done.stderr


@pytest.mark.parametrize("noun", ["entries", "sessions", "alerts", "containers"])
def test_an_empty_list_does_not_claim_more_than_was_asked(run, noun):
    """A filter that leaves nothing does not say that nobody came."""
    done = run(noun, "list", "--host", "elsewhere")

    assert (done.exit_code, done.stderr) == (0, "Nothing matches these filters.\n")


def test_a_list_that_was_cut_short_says_so(run):
    """Also as JSON: who counts lines must not take the limit for the number."""
    for words in (("--json",), ()):
        cut = run("entries", "list", "--limit", "1", *words)
        whole = run("entries", "list", "--limit", "2", *words)

        assert "Only the first 1 are shown" in cut.stderr
        assert len(cut.stdout.splitlines()) < len(whole.stdout.splitlines())
        assert "Only the first" not in whole.stderr


@pytest.mark.parametrize("noun", ["entries", "alerts"])
def test_what_a_visitor_makes_long_stands_last_in_a_list(ok, noun):
    """A command line of 4096 characters must not push the other columns out of sight."""
    assert ok(noun, "list").splitlines()[0].endswith(("COMMAND", "WHAT"))


def test_colour_is_for_terminals_that_want_it(ok):
    assert "\x1b[" not in ok("sensors", "list")
    assert "\x1b[" in ok("alerts", "list", "--state", "all", color=True)
    assert "\x1b[" not in ok("alerts", "list", "--state", "all", color=True, env={"NO_COLOR": "1"})


def test_a_token_goes_to_stdout_and_its_explanation_to_stderr(run):
    done = run("token", "create")

    assert done.stdout.startswith("nsentry1.")
    assert done.stdout.count("\n") == 1
    assert "nsentry-sensor enroll --url https://" in done.stderr


def test_a_reader_that_goes_away_is_no_trouble(state):
    """`entries list | head -0`: no traceback."""
    words = [*PROGRAM, "--state", str(state), "entries", "list", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_doctor_names_what_is_wrong_and_the_command(run, ok, state):
    done = run("doctor", "--json")
    found = {check["name"]: check for check in map(json.loads, done.stdout.splitlines())}
    assert done.exit_code == 69
    assert (found["running"]["verdict"], found["running"]["mend"]) == ("fail", "nsentry-controller serve")
    assert {found[name]["verdict"] for name in ("state", "permissions", "certificate", "database")} == {"ok"}

    (state / "ca.key").chmod(0o644)
    try:
        done = run("doctor")
        assert done.exit_code == 78
        assert "chmod" in done.stdout
    finally:
        (state / "ca.key").chmod(0o600)


def test_the_doctor_says_in_few_words_why_a_controller_does_not_answer(run, state):
    """The process is there and holds its folder, but nothing listens (any more)."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
    with (state / "serve.lock").open("w+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} {url}\n")
        lock.flush()
        checks = map(json.loads, run("doctor", "--json").stdout.splitlines())
        found = next(check["found"] for check in checks if check["name"] == "answers")
    (state / "serve.lock").unlink()

    assert found.startswith(f"{url} does not answer: ")
    assert found.endswith("Connection refused")
    assert "Pool" not in found


def test_the_doctor_finds_nothing_wrong_with_a_controller_that_serves(served):
    done = served.run("doctor")

    assert done.returncode == 0, done.stdout
    assert "ready; detection is at most 0 events behind" in done.stdout


def test_a_report_holds_the_visit_and_the_response_and_no_text_of_the_attacker_outside_of_code(ok, run):
    alert = json.loads(ok("alerts", "list", "--state", "all", "--json").splitlines()[0])
    shown = ok("report", alert["id"])
    for section in (
        "Immediate investigation",
        "Findings",
        "Reporting",
        f"Response, by the strategy of {alert['detections'][0]}",
    ):
        assert f"## {section}" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    outside = re.sub(r"```text.*?```|(`+).*?\1", "", shown, flags=re.DOTALL)
    assert "<b>" not in outside
    assert json.loads(ok("report", alert["id"], "--json"))["id"] == alert["id"]
    assert run("report", "nothing").exit_code == 1


def test_an_export_has_every_event_once_and_goes_on_after_a_number(ok):
    rows = [json.loads(line) for line in ok("export", "stored").splitlines()]
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    assert {row["body"]["kind"] for row in rows} >= {"start", "entry", "command", "attempt", "loss"}
    later = [json.loads(line) for line in ok("export", "stored", "--after", str(rows[2]["seq"])).splitlines()]
    assert later == rows[3:]


@pytest.mark.parametrize("words", ["plain", "`", "a ``` b", "``", "|`|"])
def test_a_code_span_is_left_by_nothing_within(words):
    shown = span(words)
    fence = re.match("`+", shown)[0]
    assert fence not in shown[len(fence) : -len(fence)].replace(" ", "\0")
