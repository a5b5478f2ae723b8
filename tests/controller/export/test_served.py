# SPDX-License-Identifier: Apache-2.0
"""Exports of a controller that runs: a kill loses nothing, and a dead receiver is none of its troubles."""

from __future__ import annotations

import json
import signal

import pytest

from controller.store import alerts, exports
from tests.controller import make
from tests.controller.export import receiving
from tests.controller.serving import wait_for

VISITS = 120


def configure(served, *tables):
    lines = (served.state / "controller.toml").read_text()
    for table in tables:
        lines += "\n[[export]]\n" + "".join(
            f"{name} = {json.dumps(value)}\n" for name, value in table.items()
        )
    (served.state / "controller.toml").write_text(lines)


def changes(served):
    with served.reading() as connection:
        steps = alerts.changes(connection, 0, 10_000)
        return {f"{each['alert']['id']}-{each['change']['id']}" for each in steps}


def progress(served, name):
    with served.reading() as connection:
        return exports.progress(connection, name)


def test_a_kill_in_the_middle_loses_nothing_and_duplicates_have_the_same_id(stopped, tls):
    hook = receiving.Hook(tls[1])
    address = f"https://localhost:{hook.port}/in"
    configure(stopped, {"name": "hook", "kind": "webhook", "address": address, "ca": str(tls[0])})
    stopped.start()
    sensor = stopped.enrol()
    sensor.stored(*(make.entry(2 * each + 1, sensor.host, session=each) for each in range(VISITS)))
    wait_for(lambda: len(hook.got) > 10)
    stopped.stop(signal.SIGKILL)
    before = len(hook.got)
    stopped.start()
    wait_for(stopped.judged)
    wait_for(lambda: progress(stopped, "hook").seq == len(changes(stopped)))
    told = [each["id"] for each in hook.documents()]
    hook.close()
    assert before < VISITS
    assert set(told) == changes(stopped)
    assert len(told) - len(set(told)) <= 50


def test_a_dead_destination_costs_its_backlog_alone_and_is_shown(stopped, tmp_path):
    path = tmp_path / "alerts.jsonl"
    with receiving.socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    configure(
        stopped,
        {"name": "dead", "kind": "syslog", "address": f"tcp://localhost:{port}"},
        {"name": "lines", "kind": "file", "address": str(path), "format": "ocsf"},
    )
    stopped.start()
    sensor = stopped.enrol()
    sensor.stored(*(make.entry(2 * each + 1, sensor.host, session=each) for each in range(5)))
    wait_for(stopped.judged)
    wait_for(lambda: path.exists() and len(path.read_text().splitlines()) == len(changes(stopped)))
    wait_for(lambda: progress(stopped, "dead").failed > 0)
    dead, lines = stopped.read("exports", "list")
    assert dead["state"] == "failing"
    assert dead["behind"] >= 5
    assert "refused" in dead["last_error"]
    assert (lines["state"], lines["behind"]) == ("ok", 0)
    with stopped.operator() as session:
        ready = session.get(f"{stopped.url}/readyz", timeout=30)
    assert ready.status_code == 200
    assert [each["state"] for each in ready.json()["exports"]] == ["failing", "ok"]


def test_what_was_stored_can_be_pulled_in_every_format(stopped):
    stopped.start()
    sensor = stopped.enrol()
    sensor.stored(make.entry(1, sensor.host), make.command(2, "id", host_id=sensor.host))
    wait_for(stopped.judged)
    for format_ in ("json", "ocsf", "ecs", "cef"):
        told = stopped.command("export", "alerts", "--format", format_).splitlines()
        assert len(told) == len(changes(stopped))
        events = stopped.command("export", "events", "--format", format_, "--kind", "command").splitlines()
        assert len(events) == 1
    assert stopped.command("export", "alerts", "--since", "1h", "--severity", "critical") == ""


def test_a_test_alert_reaches_the_destination_and_a_failure_says_why(stopped, tls, syslog):
    configure(
        stopped,
        {
            "name": "siem",
            "kind": "syslog",
            "address": f"tls://localhost:{syslog.port}",
            "ca": str(tls[0]),
        },
        {"name": "stranger", "kind": "syslog", "address": f"tls://localhost:{syslog.port}"},
    )
    told = json.loads(stopped.command("exports", "test", "siem", "--json"))
    wait_for(lambda: syslog.messages)
    assert told["id"] in syslog.messages[0]
    assert "cs6=test" in syslog.messages[0]
    failed = stopped.run("exports", "test", "stranger")
    assert failed.returncode == 1
    assert "certificate" in failed.stderr


@pytest.mark.parametrize("command", [("serve",), ("exports", "list")])
def test_settings_that_make_no_sense_are_told_at_start(stopped, command):
    configure(stopped, {"name": "x", "kind": "syslog", "address": "nowhere"})
    done = stopped.run(*command)
    assert done.returncode == 78
    assert "[[export]] x: address is 'nowhere'; expected tls://HOST" in done.stderr
