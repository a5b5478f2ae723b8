# SPDX-License-Identifier: Apache-2.0
"""Who joins a running container and executes nothing: an attempt when it is over, an entry when he stays."""

from __future__ import annotations

import dataclasses

import pytest

from sensor.entry import vain
from sensor.entry.crossing import Attempted, Commanded, Crossed, Ended, Entered, Exited, Released
from sensor.entry.track import Tracker
from sensor.probe.layout import Flag, KernelEvent, Kind
from tests.sensor.entry.test_track import INSIDE, NET_ONLY, Doors, execution, gone, head, kinds, setns


@pytest.mark.parametrize(
    "over",
    [
        dataclasses.replace(setns(5, INSIDE), head=head(Kind.SETNS, 5, Flag.RETURNED)),
        dataclasses.replace(setns(5, INSIDE), head=head(Kind.SETNS, 5, Flag.THREAD | Flag.RETURNED)),
        gone(5, flags=Flag.THREAD),
    ],
    ids=["came back", "a thread came back", "a thread ended"],
)
def test_who_had_a_running_containers_files_at_hand_has_attempted_unless_he_copies_for_a_daemon(
    over: KernelEvent,
) -> None:
    thread = over.head.flags & Flag.THREAD
    assert kinds(Tracker(Doors()), setns(5, INSIDE, flags=thread), over) == [Crossed, Attempted]
    assert kinds(Tracker(Doors()), setns(5, INSIDE, "podman", flags=thread), over) == [Crossed, Released]


def test_who_stays_inside_without_a_program_is_looked_at_once_and_has_entered() -> None:
    tracker = Tracker(Doors())
    tracker.feed(setns(5, INSIDE))
    later = vain.STAY_NS + 2000
    alive = execution(5, INSIDE)
    assert tracker.reconcile(lambda _pid, _start: True, vain.STAY_NS, look=lambda _: alive) == []
    (entered,) = tracker.reconcile(lambda _pid, _start: True, later, look=lambda _: alive)
    assert isinstance(entered, Entered)
    assert entered.witnessed
    assert tracker.reconcile(lambda _pid, _start: True, later, look=lambda _: alive) == []
    assert kinds(tracker, execution(5, INSIDE), gone(5)) == [Commanded, Exited, Ended]


def test_a_thread_that_stays_is_a_session_until_it_ends() -> None:
    tracker = Tracker(Doors())
    tracker.feed(setns(5, INSIDE, flags=Flag.THREAD))
    (entered,) = tracker.reconcile(
        lambda _pid, _start: True, vain.STAY_NS + 2000, look=lambda _: execution(5, INSIDE)
    )
    assert isinstance(entered, Entered)
    assert kinds(tracker, gone(5, flags=Flag.THREAD)) == [Exited, Ended]


def test_nobody_stays_where_he_copies_joined_a_network_or_is_gone() -> None:
    for comm, joined, found in [
        ("podman", INSIDE, execution(5, INSIDE)),
        ("nsenter", NET_ONLY, execution(5, NET_ONLY)),
        ("nsenter", INSIDE, None),
    ]:
        tracker = Tracker(Doors())
        tracker.feed(setns(5, joined, comm))
        later = vain.STAY_NS + 2000
        assert tracker.reconcile(lambda _pid, _start: True, later, look=lambda _, each=found: each) == []
