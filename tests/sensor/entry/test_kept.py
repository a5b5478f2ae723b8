# SPDX-License-Identifier: Apache-2.0
"""What is kept of crossings lets the next sensor go on as if there had been no other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.entry import kept
from sensor.entry.crossing import Attempted, Crossing, Ended, Outcome, Released
from sensor.entry.track import Tracker
from sensor.probe.layout import KernelEvent
from tests.sensor.entry.test_track import EVENTS, INSIDE, Doors, execution, setns


class Disk:
    """What is kept, as the spool keeps it: only what changed is written."""

    def __init__(self) -> None:
        self.rows: dict[int, bytes] = {}

    def write(self, tracker: Tracker, *, everything: bool = False) -> None:
        for cookie, crossing in tracker.changed(everything=everything).items():
            if crossing is not None:
                self.rows[cookie] = kept.pack(crossing, None, None)
            elif tracker.is_given_up(cookie):
                self.rows[cookie] = b""
            else:
                self.rows.pop(cookie, None)

    def tracker(self) -> Tracker:
        tracker = Tracker(Doors())
        crossings = [kept.unpack(row) for row in self.rows.values() if row]
        tracker.recall(kept.join(crossings), [cookie for cookie, row in self.rows.items() if not row])
        return tracker


def told(outcomes: list[Outcome]) -> list[Any]:
    """The outcomes with what events are made of; command lines are not kept."""
    return [
        (type(outcome), *(_shown(getattr(outcome, field.name)) for field in dataclasses.fields(outcome)))
        for outcome in outcomes
    ]


def _shown(value: object) -> object:
    if not isinstance(value, Crossing):
        return value
    entered = value.entered and (value.entered.head, value.entered.task)
    outer = value.outer and value.outer.cookie
    return (
        value.cookie,
        value.began,
        entered,
        value.owner,
        outer,
        value.live,
        value.executed,
        value.commands,
        value.status,
    )


@given(
    st.lists(st.tuples(EVENTS, st.integers(1, 3), st.sampled_from([0, 0, 1, 2, 3])), max_size=40),
    st.sets(st.integers(0, 40)),
)
def test_a_sensor_killed_at_any_moments_tells_what_one_without_a_kill_tells(
    steps: list[tuple[KernelEvent, int, int]], kills: set[int]
) -> None:
    steady, disk = Tracker(Doors()), Disk()
    killed = Tracker(Doors())
    over: set[int] = set()
    for number, (event, cookie, previous) in enumerate(steps):
        if cookie in over:  # the kernel names no two crossings alike
            continue
        moved = dataclasses.replace(event, head=dataclasses.replace(event.head, cookie=cookie))
        if hasattr(moved, "previous"):
            moved = dataclasses.replace(moved, previous=previous)
        outcomes = steady.feed(moved)
        assert told(killed.feed(moved)) == told(outcomes)
        over |= {one.crossing.cookie for one in outcomes if isinstance(one, Ended | Attempted)}
        over |= {one.cookie for one in outcomes if isinstance(one, Released) and one.reason != "within"}
        disk.write(killed)
        if number in kills:
            killed = disk.tracker()
    fresh = Disk()
    fresh.write(killed, everything=True)
    assert fresh.rows.keys() == disk.rows.keys()


def test_command_lines_are_not_kept() -> None:
    tracker = Tracker(Doors())
    secret = dataclasses.replace(execution(5, INSIDE), argv=["x", "--password=hunter2"], filename="hunter2")
    called = dataclasses.replace(setns(5, INSIDE), argv=["nsenter", "hunter2"])
    tracker.feed(called)
    tracker.feed(secret)
    disk = Disk()
    disk.write(tracker)
    assert disk.rows
    assert not any(b"hunter2" in row for row in disk.rows.values())


@pytest.mark.parametrize("row", [b"\xc1", b"\x90", b"\xa1x", kept.pack(Crossing(1, 2), None, None)[:-3]])
def test_what_is_no_crossing_is_refused(row: bytes) -> None:
    with pytest.raises(ValueError, match="no crossing"):
        kept.unpack(row)
