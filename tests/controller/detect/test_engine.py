# SPDX-License-Identifier: Apache-2.0
"""One rule's trouble is its own: counted, said, and no other rule's."""

from __future__ import annotations

import itertools

from controller.detect.engine import MAX_REASON, SLOW_STRIKES, Engine
from controller.detect.rule import Finding, Severity, Visit
from tests.controller.detect.building import always, command, detection, event

ENTRY = event("docker-exec")
VISIT = Visit(ENTRY["session"], ENTRY, (ENTRY,))


def raises(visit, event):
    raise ZeroDivisionError


def test_a_rule_that_raises_is_counted_and_the_others_go_on(caplog):
    engine = Engine([detection(raises, "bad"), detection(always(), "good")])
    assert [each.detection for each in engine.evaluate(VISIT, ENTRY)] == ["good"]
    assert engine.counts["bad.errors"] == engine.counts["bad.evaluations"] == 1
    assert "bad" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_rule_that_returns_something_else_has_failed(caplog):
    engine = Engine([detection(lambda visit, event: True)])
    assert engine.evaluate(VISIT, ENTRY) == []
    assert engine.counts["any.errors"] == 1


def test_a_slow_rule_is_left_out_of_the_visit_it_was_slow_on_and_only_of_that():
    """Whoever is inside can make a rule slow by what he types; that must not switch it off for others."""
    slow = Engine([detection(always())], slow_ns=10, clock=itertools.count(0, 100).__next__)
    for _ in range(SLOW_STRIKES):
        assert slow.evaluate(VISIT, ENTRY)
    assert slow.evaluate(VISIT, ENTRY) == []
    assert slow.counts["any.slow"] == SLOW_STRIKES
    assert slow.counts["any.skipped"] == 1
    assert slow.evaluate(Visit("another", ENTRY, (ENTRY,)), ENTRY)


def test_evidence_is_quoted_from_the_event_not_from_the_rule():
    def rule(visit, event):
        return Finding(Severity.HIGH, "x" * 5000, ("process.argv", "container.pod.name"))

    (found,) = Engine([detection(rule)]).evaluate(VISIT, ENTRY)
    assert found.fields == {"process.argv": ["/bin/sleep", "2"], "container.pod.name": None}
    assert (found.event, found.time, found.severity) == (ENTRY["id"], ENTRY["time"], Severity.HIGH)
    assert len(found.reason) == MAX_REASON


def test_only_what_carries_evidence_is_judged():
    engine = Engine([detection(always())])
    assert engine.evaluate(VISIT, {"kind": "exit", "id": "h1/b1/9"}) == []
    assert engine.evaluate(VISIT, command(2, "id"))
    assert engine.counts["any.evaluations"] == 1


def test_counts_are_handed_over_once():
    engine = Engine([detection(always())])
    engine.evaluate(VISIT, ENTRY)
    assert engine.take_counts()["any.findings"] == 1
    assert engine.take_counts() == {}
