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

from controller.bus import EmbeddedBus
from controller.cli import main
from controller.cli.report import span
from controller.detect.worker import Worker
from controller.store import migrate
from tests.controller import make
from tests.controller.conftest import add_host
from tests.controller.serving import PROGRAM, Served

OURS = "controller.cli."
HOSTILE = ["sh", "-c", "\x1b]0;owned\x07\u202e", "\x9b2J", "a\nb", "<b>"]


@pytest.fixture(scope="module")
def state(tmp_path_factory, initialised):
    """A state folder with an entry, a visit with an alert, and an attempt, judged by the real worker."""
    served = Served.copy_of(initialised, tmp_path_factory.mktemp("cli") / "state")
    with migrate.open_store(served.database) as store:
        store.write(add_host)
        bus = EmbeddedBus(store)
        events = [
            make.start(1),
            make.entry(2, process=make.process(1000, *HOSTILE, tty="pts/0")),
            make.command(3, "curl", "http://192.0.2.1/x", pid=1001),
            make.ended(4, 1001, code=7),
            make.session_end(5, code=None, signal=9),
            make.attempt(6, session=2),
            make.loss(7),
            make.loss(8, "kernel.lost.ordinary", 5, container_id=make.CONTAINER),
            make.activity(9, argv=HOSTILE, count=12),
            make.activity(10, key="c", what="connect", address="2001:db8::7", port=443, protocol="tcp"),
            make.entry(11, session=3, means="probe"),
            make.session_end(12, session=3),
        ]
        bus.append(make.HOST, events, make.BEGIN).result()
        worker = Worker(store, bus)
        while worker.run_once():
            pass
    return served.state


@pytest.fixture
def run(state, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)

    def invoke(*words, **options):
        return CliRunner().invoke(main, ["--state", str(state), *words], **options)

    return invoke


@pytest.fixture
def ok(run):
    def invoke(*words, **options):
        done = run(*words, **options)
        assert done.exit_code == 0, done.output
        return done.stdout

    return invoke


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
        *((verb,) for verb in ("serve", "init", "doctor", "login-link", "report", "export")),
        ("token", "create"),
        *(("sensors", verb) for verb in ("list", "show", "revoke")),
        *(
            (noun, verb)
            for noun in ("entries", "sessions", "alerts", "containers")
            for verb in ("list", "show")
        ),
        *(("alerts", verb) for verb in ("ack", "close", "reopen", "tail")),
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


def visit_alert(ok):
    """The alert of the visit, not that of the attempt."""
    rows = map(json.loads, ok("alerts", "list", "--state", "all", "--json").splitlines())
    (alert,) = [row for row in rows if row["session"] == make.session_id()]
    return alert


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


def test_a_closed_alert_is_opened_again_only_by_who_says_so(run, ok):
    """Who acknowledges what somebody else closed meanwhile has not seen that it is closed."""
    alert = visit_alert(ok)
    ok("alerts", "close", alert["id"], "--as", "benign_true_positive", "--reason", "change 4711")

    refused = run("alerts", "ack", alert["id"], "--assign", "bob")

    assert refused.exit_code == 1
    assert "closed as benign true positive" in refused.stderr
    assert f"alerts reopen {alert['id']}" in refused.stderr
    shown = json.loads(ok("alerts", "show", alert["id"], "--json"))
    assert (shown["state"], shown["close_reason"]) == ("benign_true_positive", "change 4711")
    assert shown["assignee"] != "bob"
    ok("alerts", "reopen", alert["id"], "--reason", "it was not approved")
    assert json.loads(ok("alerts", "show", alert["id"], "--json"))["state"] == "investigating"
    assert run("alerts", "reopen", alert["id"]).exit_code == 1
    assert run("alerts", "reopen", "0" * 16).exit_code == 1


def test_health_checks_are_listed_only_when_asked_for_and_counted(run, ok):
    for noun, all_ in (("entries", 3), ("sessions", 3)):
        done = run(noun, "list", "--json")
        assert '"means":"probe"' not in done.stdout
        assert "Health checks (means probe) that are not shown: 1," in done.stderr
        (only,) = ok(noun, "list", "--means", "probe", "--json").splitlines()
        assert json.loads(only)["means"] == "probe"
        assert len(ok(noun, "list", "--means", "all", "--json").splitlines()) == all_
    assert json.loads(ok("containers", "show", "web", "--json"))["probes"] == 1


def test_what_a_container_does_of_itself_is_shown_with_how_often(ok):
    shown = json.loads(ok("containers", "show", "web", "--json"))
    page = ok("containers", "show", "web")

    by_what = {each["what"]: each for each in shown["activity"]}
    assert by_what["exec"]["argv"] == HOSTILE
    assert by_what["exec"]["count"] == 12
    assert (shown["activities"], shown["activities_left_out"]) == (2, 0)
    assert "[2001:db8::7]:443 by /bin/busybox" in page
    assert json.loads(ok("containers", "list", "--json"))["activities"] == 2


def test_losses_are_told_by_container(ok):
    """Of the host by container, of the container by cause."""
    shown = json.loads(ok("sensors", "show", "n1", "--json"))

    assert shown["losses_by_container"] == [{"container": make.CONTAINER, "name": "web", "count": 5}]
    assert "web" in ok("sensors", "show", "n1")
    container = json.loads(ok("containers", "show", "web", "--json"))
    assert container["losses"] == {"kernel.lost.ordinary": 5}


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
    rows = [json.loads(line) for line in ok("export").splitlines()]
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    assert {row["body"]["kind"] for row in rows} >= {"start", "entry", "command", "attempt", "loss"}
    later = [json.loads(line) for line in ok("export", "--after", str(rows[2]["seq"])).splitlines()]
    assert later == rows[3:]


@pytest.mark.parametrize("words", ["plain", "`", "a ``` b", "``", "|`|"])
def test_a_code_span_is_left_by_nothing_within(words):
    shown = span(words)
    fence = re.match("`+", shown)[0]
    assert fence not in shown[len(fence) : -len(fence)].replace(" ", "\0")
