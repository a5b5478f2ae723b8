# SPDX-License-Identifier: Apache-2.0
"""The command line: help with examples everywhere, answers on stdout, sentences on stderr, stable exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sensor import __version__, identity, wire
from sensor.cli import main
from sensor.cli.status import describe, one_line
from sensor.health import Health
from sensor.status import StatusSocket
from tests.sensor.collector import CREDENTIAL
from tests.sensor.examples import EVENTS, HOST_MESSAGE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs a command with a state folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, state=True, stdin=None):
        where = ["--state-dir", str(tmp_path / "state")] if state else []
        return CliRunner().invoke(main, [*arguments, *where], input=stdin)

    return call


def all_commands(command: click.Command, names: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [names]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found += all_commands(inner, (*names, name))
    return found


@pytest.mark.parametrize("names", all_commands(main), ids=" ".join)
def test_every_command_has_help_with_examples(names):
    result = CliRunner().invoke(main, [*names, "--help"])
    assert result.exit_code == 0
    assert "Examples:\n    nsentry-sensor" in result.stdout
    assert "\\b" not in result.stdout


def test_the_contracts_commands_are_there():
    names = {names[0] for names in all_commands(main) if names}
    assert names == {"run", "enroll", "status", "doctor", "tail", "replay", "unpin", "config", "version"}


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["enroll"], ["run", "--loader", "x"], ["config", "show", "--set", "x"]]
)
def test_wrong_usage_is_exit_code_2(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_version_is_one_place_s_truth(call):
    result = call("version", "--json", state=False)
    assert json.loads(result.stdout) == {"sensor": __version__, "wire": wire.VERSION}
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_python_dash_m_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "sensor", "version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == f"nsentry-sensor {__version__}, wire version {wire.VERSION}\n"


def test_the_http_client_is_loaded_only_where_it_is_used():
    program = (
        "import sys; from click.testing import CliRunner; from sensor.cli import main; "
        "CliRunner().invoke(main, ['status']); CliRunner().invoke(main, ['config', 'show']); "
        "print(sorted({'urllib3', 'bcc', 'psutil'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_config_show_prints_every_value_with_its_origin(call, tmp_path):
    (tmp_path / "f.toml").write_text("[log]\nlevel = 'debug'")
    result = call("config", "show", "--json", "--config", "f.toml", "--set", "loader=core")
    rows = {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert rows["log.level"] == {"name": "log.level", "value": "debug", "origin": str(tmp_path / "f.toml")}
    assert rows["loader"]["origin"] == rows["state_dir"]["origin"] == "flag"
    assert rows["spool.max_bytes"]["origin"] == "default"
    text = call("config", "show", "--config", "f.toml").stdout
    assert len(text.splitlines()) == len(rows)
    assert '"debug"' in text


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["status"], ["tail"], ["run"]])
def test_a_bad_configuration_is_exit_code_78_with_file_and_key(call, tmp_path, command):
    (tmp_path / "f.toml").write_text("lodaer = 'bcc'")
    result = call(*command, "--config", "f.toml")
    assert result.exit_code == 78
    assert result.stdout == ""
    assert "f.toml: there is no setting 'lodaer'; did you mean 'loader'?" in result.stderr


def test_a_good_configuration_is_said_to_be(call):
    result = call("config", "check")
    assert (result.exit_code, result.stdout) == (0, "the configuration is good (there is no file)\n")


def test_status_and_tail_without_a_sensor_are_exit_code_69(call, tmp_path):
    (tmp_path / "state").mkdir()
    for command in ("status", "tail"):
        result = call(command)
        assert result.exit_code == 69
        assert "no sensor runs with" in result.stderr
        assert "to mend it: nsentry-sensor run" in result.stderr


def test_status_shows_the_running_sensor(call, tmp_path):
    (tmp_path / "state").mkdir()
    health = Health(HOST_MESSAGE)
    health.degraded.say("x", "spoken by \x1b[31ma container")
    server = StatusSocket(tmp_path / "state", health)
    server.start()
    try:
        beat = json.loads(call("status", "--json").stdout)
        text = call("status").stdout
    finally:
        server.stop()
    assert beat["host"] == HOST_MESSAGE
    assert text.startswith("DEGRADED  spoken by \\x1b[31ma container\nhost      node-7")


def test_tail_follows_the_running_sensor_and_ends_with_it(tmp_path):
    health = Health(HOST_MESSAGE)
    server = StatusSocket(tmp_path, health)
    server.start()
    command = [sys.executable, "-m", "sensor", "tail", "--state-dir", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        line = None
        while not server._tails:
            assert process.poll() is None
        server.publish(EVENTS["entry"])
        line = process.stdout.readline()
        server.stop()
        assert process.wait(30) == 0
    assert json.loads(line) == EVENTS["entry"]


def test_a_reader_of_tail_that_leaves_is_no_error(tmp_path):
    server = StatusSocket(tmp_path, Health(HOST_MESSAGE))
    server.start()
    command = [sys.executable, "-m", "sensor", "tail", "--state-dir", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while not server._tails:
            assert process.poll() is None
        process.stdout.close()
        while process.poll() is None:
            server.publish(EVENTS["command"])
        assert process.returncode == 0
        assert process.stderr.read() == ""
    server.stop()


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_every_kind_of_event_has_a_line_that_cannot_steer_the_terminal(kind):
    shown = wire.printable(one_line(EVENTS[kind]))
    assert kind in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_line_is_made_of_whatever_is_known():
    assert one_line({})
    assert (
        one_line({"kind": "entry", "container": {"id": None}, "process": {}}).count("unknown container") == 1
    )
    assert list(describe({}))


def test_enroll_reads_the_token_from_a_file_or_stdin_and_never_shows_it(call, collector, authority, tmp_path):
    token = wire.encode_token("s3cret", authority.pem)
    (tmp_path / "token").write_text(f"{token}\n")
    result = call("enroll", "--url", collector.url, "--token-file", "token")
    assert result.exit_code == 0, result.stderr
    assert "enrolled at" in result.stdout
    result = call("enroll", "--url", collector.url, "--token-file", "-", "--json", stdin=token)
    assert json.loads(result.stdout)["host"] == "h-new"
    assert [message["token"] for message in collector.enrolments] == ["s3cret", "s3cret"]
    assert CREDENTIAL not in result.output
    assert "s3cret" not in result.output


def test_enroll_fails_with_the_exit_codes_of_the_contract(call, collector, authority, tmp_path):
    (tmp_path / "junk").write_bytes(b"\xff\x00 no token")
    assert call("enroll", "--url", collector.url, "--token-file", "junk").exit_code == 78
    assert call("enroll", "--url", collector.url, "--token-file", "missing").exit_code == 2
    collector.kill()
    token = wire.encode_token("s3cret", authority.pem)
    result = call("enroll", "--url", collector.url, "--token-file", "-", stdin=token)
    assert result.exit_code == 69
    assert "nothing listens at" in result.stderr


def test_doctor_prints_checks_and_exits_by_the_worst(call, collector, authority, tmp_path):
    result = call("doctor", "--json")
    checks = {check["name"]: check for check in map(json.loads, result.stdout.splitlines())}
    assert checks["enrolment"]["state"] == "fail"
    assert result.exit_code in {77, 78}
    identity.save(
        tmp_path / "state", {"v": 1, "host": "h", "credential": "wrong"}, collector.url, authority.pem
    )
    text = call("doctor").stdout
    assert "FAIL  credential" in text
    assert f"to mend it: nsentry-sensor enroll --url {collector.url}" in text


def test_doctor_looks_at_the_host_even_with_a_bad_configuration(call):
    result = call("doctor", "--json", "--set", "nope=1")
    names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
    assert names[0] == "configuration"
    assert "btf" in names
    assert result.exit_code in {77, 78}
