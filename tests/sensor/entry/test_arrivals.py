# SPDX-License-Identifier: Apache-2.0
"""Who comes into a container's cgroup: decided by what he does, each case from the events that lead to it."""

from __future__ import annotations

import dataclasses

import pytest

from sensor.entry.arrivals import HELD_NS, MAX_ARRIVALS, MAX_HELD, STAY_NS, Arrivals
from sensor.entry.crossing import (
    Arrived,
    Attempted,
    Commanded,
    Crossed,
    Ended,
    Entered,
    Exited,
    Outcome,
    Released,
    Started,
)
from sensor.entry.track import Tracker
from sensor.probe.layout import Exec, Flag, How, KernelEvent, Kind, NsSet, Reached, Step
from tests.sensor.entry.test_track import (
    COOKIE,
    HOST,
    INSIDE,
    WEB,
    Doors,
    execution,
    facts,
    fork,
    gone,
    head,
    setns,
)

SHELL = Step(1, 4, 0, HOST.mnt, 0, "sh")
JOIN = 78
OWN = HOST._replace(mnt=99)
LATER = 10 * STAY_NS


def reached(pid: int, ns: NsSet = HOST, mnt: int = INSIDE.mnt, cookie: int = COOKIE) -> Reached:
    event = head(Kind.REACHED, pid, Flag.MOVED, cookie)
    return Reached(event, How.CGROUP, mnt, 0, SHELL, facts(ns, cgroup=WEB), (SHELL,), None, None)


def command(pid: int, now: NsSet = HOST, flags: Flag = Flag.MOVED, cgroup: str = WEB) -> Exec:
    return execution(pid, now, HOST, cgroup=cgroup, flags=flags)


def stays(event: Reached) -> Exec | None:
    return command(event.head.pid)


def is_gone(_event: Reached) -> None:
    return None


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals(Tracker(Doors()), Doors())


def kinds(arrivals: Arrivals, *events: KernelEvent) -> list[type]:
    return [type(outcome) for event in events for outcome in arrivals.feed(event)]


def of(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


def test_a_command_in_the_cgroup_is_held_back_and_then_an_entry_with_what_followed(
    arrivals: Arrivals,
) -> None:
    held = kinds(arrivals, reached(5), fork(6, 5), command(6), fork(7, 6), command(7), gone(7, HOST))
    assert held == [Arrived]
    assert arrivals.due(command(6).head.time + HELD_NS, stays) == []
    entered, *rest = arrivals.due(command(6).head.time + HELD_NS + 1, stays)
    assert isinstance(entered, Entered)
    assert (entered.way, entered.namespaces, entered.cgroup_container) == ("cgroup-join", [], WEB)
    assert entered.event.head.pid == 6
    assert entered.crossing.owner.container is None
    assert of(rest) == [Commanded, Exited]
    assert kinds(arrivals, gone(6, HOST), gone(5, HOST)) == [Exited, Ended]


def test_a_short_command_is_told_when_all_are_gone(arrivals: Arrivals) -> None:
    events = [reached(5), fork(6, 5), command(6), gone(6, HOST), gone(5, HOST)]
    assert kinds(arrivals, *events) == [Arrived, Entered, Exited, Ended]


def test_a_runtime_that_joins_after_a_step_in_the_cgroup_is_the_join_alone(arrivals: Arrivals) -> None:
    """Runc 1.4 makes its init in the container's cgroup, executes itself there, and forks who joins."""
    events = [
        reached(5),
        command(5),
        fork(6, 5),
        setns(6, INSIDE, cookie=JOIN, previous=COOKIE),
        execution(6, INSIDE, cgroup=WEB, cookie=JOIN),
        gone(5, HOST),
        gone(6, cookie=JOIN),
    ]
    found = [outcome for event in events for outcome in arrivals.feed(event)]
    assert of(found) == [Arrived, Crossed, Entered, Released, Exited, Ended]
    (entered,) = (outcome for outcome in found if isinstance(outcome, Entered))
    assert (entered.way, entered.crossing.cookie) == (None, JOIN)
    assert arrivals.due(LATER, stays) == []


def test_a_join_that_leads_nowhere_excuses_no_command(arrivals: Arrivals) -> None:
    back = setns(5, HOST, flags=Flag.RETURNED, cookie=JOIN, previous=COOKIE)
    kinds(arrivals, reached(5), command(5), setns(5, INSIDE, cookie=JOIN, previous=COOKIE), back)
    assert of(arrivals.due(LATER, stays)) == [Entered]


def test_a_command_beside_one_that_joins_is_an_entry_of_its_own(arrivals: Arrivals) -> None:
    events = [
        reached(5),
        fork(6, 5),
        setns(6, INSIDE, cookie=JOIN, previous=COOKIE),
        fork(7, 5),
        command(7),
        execution(6, INSIDE, cgroup=WEB, cookie=JOIN),
    ]
    assert kinds(arrivals, *events) == [Arrived, Crossed, Entered]
    assert of(arrivals.due(LATER, stays)) == [Entered]


def test_who_stays_is_an_entry_of_the_process_as_it_is(arrivals: Arrivals) -> None:
    arrivals.feed(reached(5))
    assert arrivals.due(reached(5).head.time + STAY_NS, stays) == []
    assert of(arrivals.due(reached(5).head.time + STAY_NS + 1, stays)) == [Entered]
    assert kinds(arrivals, gone(5, HOST)) == [Exited, Ended]


def test_who_was_moved_on_has_not_stayed(arrivals: Arrivals) -> None:
    arrivals.feed(reached(5))
    assert arrivals.due(LATER, is_gone) == [Released(COOKIE, "inside")]


def test_who_is_gone_and_did_nothing_has_tried(arrivals: Arrivals) -> None:
    found = [*arrivals.feed(reached(5)), *arrivals.feed(gone(5, HOST))]
    assert of(found) == [Arrived, Attempted, Released]
    attempt = found[1]
    assert isinstance(attempt, Attempted)
    assert (attempt.namespaces, attempt.crossing.owner.container) == ([], WEB)


@pytest.mark.parametrize(
    "event", [reached(5, INSIDE), reached(5, mnt=555)], ids=["its own process", "no container's cgroup"]
)
def test_a_containers_own_process_does_not_arrive(event: Reached, arrivals: Arrivals) -> None:
    assert arrivals.feed(event) == [Released(COOKIE, "inside")]
    assert kinds(arrivals, command(5), gone(5, HOST)) == []


def test_a_service_that_the_containers_systemd_moves_does_not_arrive(arrivals: Arrivals) -> None:
    """It has made itself a mount namespace before; who comes from the host's, or moved himself, still arrives."""
    service = HOST._replace(mnt=501)
    systemd = dataclasses.replace(SHELL, mnt=INSIDE.mnt)
    moved = [dataclasses.replace(reached(5, ns), by=by) for ns, by in ((service, systemd), (HOST, systemd))]
    own = reached(5, service)
    assert [type(arrivals.feed(event)[0]) for event in (moved[0], moved[1], own)] == [
        Released,
        Arrived,
        Arrived,
    ]


def test_a_mount_namespace_of_its_own_makes_nobody_a_start_of_a_container_that_runs(
    arrivals: Arrivals,
) -> None:
    first = command(5, OWN, Flag.MOVED | Flag.INIT | Flag.NEW_MOUNT)
    assert kinds(arrivals, reached(5), first) == [Arrived, Entered]


def test_a_container_whose_cgroup_lies_below_anothers_starts(arrivals: Arrivals) -> None:
    first = command(5, OWN, Flag.MOVED | Flag.INIT | Flag.NEW_MOUNT, cgroup="b" * 64)
    assert kinds(arrivals, reached(5), first) == [Arrived, Released, Started]


def test_the_files_of_the_container_from_its_cgroup_are_an_entry_by_them(arrivals: Arrivals) -> None:
    first = dataclasses.replace(command(5, flags=Flag.MOVED | Flag.STRAY), exe_mnt=INSIDE.mnt)
    *_, entered = [*arrivals.feed(reached(5)), *arrivals.feed(first)]
    assert isinstance(entered, Entered)
    assert (entered.way, entered.crossing.owner.container) == ("proc-root", WEB)


def test_what_is_undecided_is_bounded(arrivals: Arrivals) -> None:
    for number in range(MAX_ARRIVALS + 1):
        found = arrivals.feed(reached(5 + number, cookie=1000 + number))
    assert of(found) == [Released, Arrived]
    (freed,) = (outcome for outcome in found if isinstance(outcome, Released))
    assert freed.reason == "evicted"


def test_nobody_gets_away_by_forking_much(arrivals: Arrivals) -> None:
    many = [fork(50_000 + number, 5) for number in range(MAX_HELD + 5)]
    assert kinds(arrivals, reached(5), *many) == [Arrived]
    entered, *_ = arrivals.feed(command(50_000 + MAX_HELD + 2))
    assert isinstance(entered, Entered)
    assert len(entered.crossing.live) == len(many) + 1
