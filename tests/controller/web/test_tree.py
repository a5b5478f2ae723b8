# SPDX-License-Identifier: Apache-2.0
"""The tree of processes, and the timeline, of visits of any shape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.web import timeline, tree


def _execution(pid, parent, *, start=None, mono=0, event=None, ended=None):
    process = {"pid": pid, "ppid": parent or 1, "start": start or pid, "comm": "x", "argv": ["x"]}
    times = {"time": "2026-11-24T00:00:00.000000Z", "time_ns": mono, "mono": mono}
    known = {"event": event or f"e{pid}", "process": process, "parent": parent, **times}
    return {**known, "ended": None, "ended_ns": ended, "code": None, "signal": None}


def _entry(*sides):
    ancestry = [{"pid": number + 1, "side": side} for number, side in enumerate(sides)]
    return {"ancestry": ancestry[::-1]}


def _all(nodes):
    return [each for node in nodes for each in (node, *_all(node.children))]


def test_door_is_between_the_host_and_the_visit():
    """A3: ancestors from init down, then the border, then what the visit ran, as children of who ran it."""
    made = tree.build(_entry("host", "host"), [_execution(10, None), _execution(11, 10), _execution(12, 11)])
    (init,) = made.roots
    chain = [each.pid for each in _all(made.roots)]
    assert chain == [1, 2, 10, 11, 12]
    assert [each.pid for each in _all(made.roots) if each.border] == [10]
    assert init.side == "host"


def test_door_may_be_above_an_ancestor():
    """Who enters from a process that is inside already crossed earlier: the border is drawn there, once."""
    made = tree.build(_entry("host", "container"), [_execution(10, None)])
    assert [each.pid for each in _all(made.roots) if each.border] == [2]


def test_without_the_entry_the_tree_begins_behind_the_door():
    """A lost entry leaves a tree of what is known, not nothing."""
    made = tree.build(None, [_execution(10, None), _execution(11, 10)])
    assert [each.pid for each in _all(made.roots)] == [10, 11]


def test_reused_pid_is_another_process():
    """The same pid with another start is drawn on its own; with the same start it is one more program."""
    made = tree.build(
        None, [_execution(10, None), _execution(10, None, event="b"), _execution(10, None, start=99)]
    )
    assert [len(each.runs) for each in made.roots] == [2, 1]


def test_nodes_with_findings_are_marked():
    """A3: the processes that a detection fired on can be seen."""
    made = tree.build(None, [_execution(10, None), _execution(11, 10)], [{"event": "e11"}])
    assert [each.marked for each in _all(made.roots)] == [False, True]


@given(st.lists(st.tuples(st.integers(2, 60), st.integers(0, 60), st.integers(1, 3)), max_size=600))
def test_any_shape_is_bounded_and_nothing_vanishes(shape):
    """Loops, orphans and chains of any length: each execution is drawn once or counted, never deeper than is read."""
    executions = [
        _execution(pid, parent or None, start=start, event=f"e{number}")
        for number, (pid, parent, start) in enumerate(shape)
    ]
    made = tree.build(None, executions)
    nodes = _all(made.roots)
    assert sum(len(each.runs) for each in nodes) + made.left_out == len(executions)
    assert len(nodes) <= tree.MAX_NODES
    assert all(each.depth <= tree.MAX_DEPTH for each in nodes)


def test_chain_of_thousands_does_not_nest_without_end():
    """A shell that starts a shell, ten thousand times, still makes a page."""
    made = tree.build(None, [_execution(pid, pid - 1 if pid > 2 else None) for pid in range(2, 10_000)])
    assert made.left_out == 9_998 - tree.MAX_NODES


def test_steps_tell_gaps_and_pauses():
    """A4: each step says how long after the entry and after the step before it came, and how long it ran."""
    second = 1_000_000_000
    steps = timeline.steps(
        [
            _execution(1, None),
            _execution(2, 1, mono=3 * second, ended=4 * second),
            _execution(3, 1, mono=60 * second),
        ]
    )
    assert [each.since_entry // second for each in steps] == [0, 3, 60]
    assert [each.gap and each.gap // second for each in steps] == [None, 3, 57]
    assert [each.paused for each in steps] == [False, False, True]
    assert [each.lasted for each in steps] == [None, second, None]


def test_durations_read_as_people_say_them():
    """From milliseconds to days, with two units at most."""
    spans = {0: "0 ms", 340_000_000: "340 ms", 2_100_000_000: "2.1 s", 200_000_000_000: "3 min 20 s"}
    spans |= {18_120 * 10**9: "5 h 2 min", 273_600 * 10**9: "3 d 4 h"}
    assert {each: timeline.duration(each) for each in spans} == spans
