# SPDX-License-Identifier: Apache-2.0
"""A changed rule is shown beside what was found: what is new, gone, and the same. And a burst outlives a restart."""

from __future__ import annotations

import pytest

from controller.detect import catalogue
from controller.detect.backtest import backtest
from controller.detect.engine import Engine
from controller.detect.rule import Finding, Severity
from controller.detect.worker import Worker
from controller.policy.knobs import Knobs
from controller.store import exceptions, troubles
from controller.store.schema import findings
from tests.controller.detect.building import collector, command, detection, event

NOW = 1764000000 * 10**9


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield made


def on(*programs, severity=Severity.HIGH):
    def rule(visit, event):
        argv = (event.get("process") or {}).get("argv") or [""]
        return Finding(severity, f"ran {argv[0]}") if argv[0] in programs else None

    return detection(rule, "ran", "Ran")


def drain(here, engine):
    worker = Worker(here.store, here.bus, engine, clock=lambda: NOW)
    while worker.run_once():
        pass


def visit(number, *programs):
    session = f"h1/b1/{number}"
    entry = event("docker-exec", number, session=session)
    return [entry, *(command(number + at, name, session=session) for at, name in enumerate(programs, 1))]


def test_a_changed_rule_says_what_is_new_gone_and_the_same(here):
    here.take_in(*visit(1, "curl"), *visit(10, "wget"), *visit(20, "curl", "nc"), *visit(30, "id"))
    drain(here, Engine([on("curl", "wget")]))
    with here.store.read() as connection:
        done = backtest(connection, on("curl", "nc", "id", severity=Severity.LOW), 0, NOW * 2, Knobs())
        same = backtest(connection, on("curl", "wget"), 0, NOW * 2, Knobs())
        none = backtest(connection, on("curl", "wget"), NOW * 2, NOW * 3, Knobs())

    assert [(row["session"], row["outcome"]) for row in done.outcomes] == [
        ("h1/b1/1", "milder"),
        ("h1/b1/10", "gone"),
        ("h1/b1/20", "milder"),
        ("h1/b1/30", "new"),
    ]
    assert {row["outcome"] for row in same.outcomes} == {"same"}
    assert (done.judged, none.outcomes, none.judged) == (4, [], 0)


def test_what_was_withheld_was_found(here):
    wanted = exceptions.Wanted('host == "node1"')
    here.store.write(
        lambda c: exceptions.add(c, "all", wanted, author="a", reason="r", expires=NOW + 10**15, now=NOW)
    )
    here.take_in(*visit(1, "curl"))
    drain(here, Engine([on("curl")]))
    with here.store.read() as connection:
        done = backtest(connection, on("curl"), 0, NOW * 2, Knobs())
    assert [row["outcome"] for row in done.outcomes] == ["same"]


def test_a_rule_that_raises_is_counted(here):
    here.take_in(*visit(1, "curl"))
    with here.store.read() as connection:
        done = backtest(connection, detection(lambda visit, event: 1 / 0, "bad"), 0, NOW * 2, Knobs())
    assert (done.outcomes, done.errors) == ([], 2)


def test_a_burst_is_counted_over_a_restart_and_told_once(here):
    burst = catalogue.load(catalogue.BUILT_IN / "exec_burst")
    for number in range(1, 14):
        here.take_in(event("ns-join", number, session=f"h1/b1/{number}"))
        drain(here, Engine([burst]))  # a new worker each time
    (row,) = here.rows(findings)
    assert row["event"] == "h1/b1/10"
    assert row["reason"].startswith("10 visits to 1 containers by jane")


def test_a_rule_in_trouble_is_told_with_its_event_and_the_others_go_on(here):
    bad = detection(lambda visit, event: 1 / 0, "bad", "Bad")
    here.take_in(*visit(1, "curl"))
    drain(here, Engine([bad, on("curl")]))
    with here.store.read() as connection:
        (told,) = troubles.list_(connection)
    assert (told["detection"], told["errors"], told["event"]) == ("bad", 2, "h1/b1/2")
    assert "ZeroDivisionError" in told["text"]
    assert len(here.rows(findings)) == 1
