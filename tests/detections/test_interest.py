# SPDX-License-Identifier: Apache-2.0
"""What rules declare spares work and hides nothing: shown everything, they would find the same."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.detect import catalogue, examples
from controller.detect.interest import MOST, Interest
from controller.detect.probes import declared
from controller.detect.rule import ALONE, JUDGED, Visit
from controller.detect.visits import Visited
from tests.bench import load

DETECTIONS = catalogue.load_all()[0]
DECLARING = [each for each in DETECTIONS if each.declared != catalogue.NOTHING]


@cache
def interest() -> Interest:
    return Interest(DETECTIONS, JUDGED | ALONE)


@cache
def all_examples():
    return [example for folder in catalogue.folders() for example in examples.load(folder)[0]]


@cache
def words() -> tuple[str, ...]:
    """All that stands on command lines of all tests, whole and word by word."""
    lines = [
        event["process"]["argv"] or ()
        for example in all_examples()
        for event in example.visit
        if (event.get("process") or {}).get("argv")
    ]
    whole = dict.fromkeys(word for line in lines for word in line)
    return tuple(dict.fromkeys([*whole, *(part for word in whole for part in word.split())]))


def shown_everything(visit, event):
    """What each rule finds that declares something and is of this kind, whether it would be asked or not."""
    asked = [each for each in DECLARING if event["kind"] in each.kinds]
    return {each.id for each in asked if not declared(visit, event) and each.rule(visit, event) is not None}


def asked(visit, event):
    return {each.id for each in interest().of(visit, event)}


def as_it_goes_on(events, **known):
    visited = Visited("s", **known)
    for event in events:
        visited.add(event)
        yield visited.now(), event


@pytest.mark.parametrize("name", [each.id for each in DECLARING])
def test_each_finding_of_each_test_is_of_a_rule_that_was_asked(name):
    """Of every rule on the events of every folder's tests, not of its own alone."""
    detection = next(each for each in DECLARING if each.id == name)
    found = 0
    for example in all_examples():
        events = [each for each in example.visit if each["kind"] in JUDGED | ALONE]
        known = {"record": example.record, "earlier": example.earlier, "around": example.around}
        for visit, event in as_it_goes_on(events, **known):
            if event["kind"] in detection.kinds and detection.rule(visit, event) is not None:
                found += 1
                assert name in asked(visit, event), example.name
    assert found, "a rule that finds nothing in its own tests proves nothing here"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_command_lines_are_made_of_nothing_is_hidden(data):
    """Words of all tests, in any order: as arguments, in a shell's string, from any directory, after anything."""
    word = st.sampled_from(words())
    lines = st.lists(word, min_size=1, max_size=5)
    opening = dict(next(load.visit("h", 2)))
    opening["means"] = data.draw(
        st.sampled_from(("docker-exec", "ns-join", "ctr-exec", "proc-root", "inject"))
    )
    events = [opening]
    for at in range(data.draw(st.integers(1, 3))):
        argv = data.draw(lines)
        if data.draw(st.booleans()):
            argv = ["sh", "-c", data.draw(st.sampled_from((" ", " > ", " | ", ";", " >>"))).join(argv)]
        exe = data.draw(st.sampled_from((None, argv[0], "/bin/busybox", "/memfd:x", "/srv/a (deleted)")))
        process = {**opening["process"], "argv": argv, "exe": exe, "filename": exe, "pid": 100 + at}
        process["cwd"] = data.draw(
            st.sampled_from((None, "/", "/etc", "/root/.ssh", "/var/log", "/var/spool"))
        )
        head = {"id": f"h/b/{at + 900}", "time": 900 + at, "session": opening["session"]}
        events.append({"kind": "command", **head, "process": process, "parent": 1, "missing": {}})
    for visit, event in as_it_goes_on(events):
        assert shown_everything(visit, event) <= asked(visit, event)


def test_a_rule_that_declares_nothing_is_asked_about_everything_of_its_kinds():
    bare = {each.id for each in DETECTIONS if each not in DECLARING and "command" in each.kinds}
    events = [each for each in load.visit("h", 1) if each["kind"] == "command"]
    assert bare
    assert all(bare <= asked(visit, event) for visit, event in as_it_goes_on(events))


def test_ordinary_work_is_shown_to_few_and_what_is_remembered_is_bounded():
    mine = Interest(DETECTIONS, JUDGED | ALONE)
    event = next(each for each in load.visit("h", 1) if each["kind"] == "command")
    visit = Visit("s", None)
    counts = []
    for number in range(MOST + 10):
        process = {**event["process"], "argv": ["tail", f"/srv/{number}"], "exe": "/usr/bin/tail"}
        counts.append(len(mine.of(visit, {**event, "process": process})))
        assert len(mine._kept) <= MOST
    assert max(counts) <= 10
    process = {**event["process"], "argv": ["tail", "x" * 100_000]}
    kept = len(mine._kept)
    mine.of(visit, {**event, "process": process})
    assert len(mine._kept) == kept, "a long command line is not kept"
