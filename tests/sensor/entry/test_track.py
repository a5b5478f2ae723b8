# SPDX-License-Identifier: Apache-2.0
"""The tracker's decisions, each from the smallest sequence of kernel events that leads to it."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from sensor.entry.track import (
    Attempted,
    Commanded,
    Crossed,
    Ended,
    Entered,
    Exited,
    Owner,
    Released,
    Started,
    Stopped,
    Tracker,
)
from sensor.probe.layout import Exec, Exit, Facts, Flag, Fork, Head, KernelEvent, Kind, NsSet, Setns, Step

HOST = NsSet(1, 2, 3, 4, 5, 5, 6, 6, 7, 8)
INSIDE = NsSet(1, 12, 13, 14, 15, 15, 6, 6, 7, 18)
NET_ONLY = HOST._replace(net=14)
WEB = "a" * 64
COOKIE = 77
NONE = Flag(0)


class Doors:
    """One container, web, in INSIDE."""

    def owner(self, kinds: list[str], ns: NsSet) -> Owner:
        return Owner(WEB if any(getattr(ns, kind) == getattr(INSIDE, kind) for kind in kinds) else None)

    def by_cgroup(self, leaf: str, parent: str) -> str | None:
        return leaf or None

    def knows_mount(self, mnt: int) -> bool:
        return mnt in {HOST.mnt, INSIDE.mnt}


def head(kind: Kind, pid: int, flags: Flag = NONE, cookie: int = COOKIE) -> Head:
    return Head(kind, flags, 1000 + pid, cookie, pid * 10, pid, pid, 1, 0)


def facts(ns: NsSet, comm: str = "x", cgroup: str = "") -> Facts:
    return Facts(ns, 0, 1, 0, 0, 0, 0, 0, 0, 1, ns.mnt, comm, cgroup, "")


def setns(pid: int, joined: NsSet, comm: str = "nsenter", flags: Flag = NONE) -> Setns:
    return Setns(head(Kind.SETNS, pid, flags), 0, HOST, joined, facts(joined, comm), ())


def fork(pid: int, parent: int) -> Fork:
    return Fork(head(Kind.FORK, pid), parent)


def execution(
    pid: int, now: NsSet, joined: NsSet | None = None, cgroup: str = "", ancestry: tuple[Step, ...] = ()
) -> Exec:
    return Exec(
        head(Kind.EXEC, pid),
        HOST,
        joined or now,
        HOST,
        facts(now, cgroup=cgroup),
        ancestry,
        "/bin/sh",
        "/",
        "/bin/sh",
        ["sh"],
        argv_cut=False,
    )


def gone(pid: int, joined: NsSet = INSIDE, flags: Flag = NONE, status: int = 0) -> Exit:
    return Exit(head(Kind.EXIT, pid, flags), status, 1, HOST, joined)


def kinds(tracker: Tracker, *events: KernelEvent) -> list[type]:
    return [type(outcome) for event in events for outcome in tracker.feed(event)]


def test_nsenter_without_a_fork_is_one_entry_that_ends_with_it() -> None:
    assert kinds(Tracker(Doors()), setns(5, INSIDE), execution(5, INSIDE), gone(5)) == [
        Crossed,
        Entered,
        Exited,
        Ended,
    ]


def test_a_runtime_enters_by_a_grandchild_whose_parents_are_gone() -> None:
    tracker = Tracker(Doors())
    steps = [
        setns(5, INSIDE, "runc:[1:CHILD]"),
        fork(6, 5),
        gone(5),
        execution(6, INSIDE, cgroup=WEB),
        gone(6),
    ]
    assert kinds(tracker, *steps) == [Crossed, Entered, Exited, Ended]
    assert tracker.open_sessions == 0


def test_a_background_job_keeps_the_session_open_after_the_shell_has_gone() -> None:
    tracker = Tracker(Doors())
    first = [setns(5, INSIDE), execution(5, INSIDE), fork(6, 5), fork(7, 6), gone(6), gone(5)]
    assert kinds(tracker, *first) == [Crossed, Entered, Exited]
    (command,) = tracker.feed(execution(7, INSIDE))
    assert isinstance(command, Commanded)
    assert kinds(tracker, gone(7)) == [Exited, Ended]


def test_a_command_hangs_below_the_nearest_that_executed() -> None:
    tracker = Tracker(Doors())
    for event in [setns(5, INSIDE), execution(5, INSIDE), fork(6, 5), fork(7, 6)]:
        tracker.feed(event)
    (command,) = tracker.feed(execution(7, INSIDE))
    assert isinstance(command, Commanded)
    assert command.parent == 5


def test_a_new_mount_namespace_in_a_containers_cgroup_is_a_start() -> None:
    tracker = Tracker(Doors())
    joined = HOST._replace(ipc=12, uts=18, net=14)
    pod = joined._replace(mnt=99)
    assert kinds(tracker, setns(5, joined, "runc"), execution(5, pod, joined, cgroup="b" * 64)) == [
        Crossed,
        Released,
        Started,
    ]


def test_the_same_in_the_hosts_cgroup_is_an_entry() -> None:
    """Who joins a container's pid and network and brings a mount namespace of his own is a visitor."""
    joined = HOST._replace(pid_for_children=15, net=14)
    outcomes = kinds(Tracker(Doors()), setns(5, joined), execution(5, joined._replace(mnt=99), joined))
    assert outcomes == [Crossed, Entered]


def test_a_network_plugin_is_plumbing_and_a_person_with_nsenter_is_not() -> None:
    plugin = (Step(1, 4, 0, HOST.mnt, 0, "bridge"),)
    assert kinds(Tracker(Doors()), setns(5, NET_ONLY, "bridge"), execution(5, NET_ONLY, ancestry=plugin)) == [
        Crossed,
        Released,
    ]
    assert kinds(Tracker(Doors()), setns(5, NET_ONLY), execution(5, NET_ONLY)) == [Crossed, Entered]


def test_namespaces_of_no_container_are_foreign() -> None:
    other = HOST._replace(mnt=500)
    outcomes = Tracker(Doors())
    outcomes.feed(setns(5, other))
    assert outcomes.feed(execution(5, other)) == [Released(COOKIE, "foreign")]


def test_a_join_that_executes_nothing_is_an_attempt_and_of_the_network_alone_nothing() -> None:
    assert kinds(Tracker(Doors()), setns(5, INSIDE), fork(6, 5), gone(5), gone(6)) == [Crossed, Attempted]
    assert kinds(Tracker(Doors()), setns(5, NET_ONLY), gone(5, NET_ONLY)) == [Crossed, Released]


def test_a_thread_that_joins_and_comes_back_leaves_nothing() -> None:
    tracker = Tracker(Doors())
    assert kinds(
        tracker, setns(5, NET_ONLY, flags=Flag.THREAD), setns(5, HOST, flags=Flag.THREAD | Flag.RETURNED)
    ) == [Crossed, Released]


def test_the_end_of_a_first_process_is_a_stop() -> None:
    assert kinds(Tracker(Doors()), gone(5, flags=Flag.INIT)) == [Stopped]


def test_a_session_whose_exit_was_lost_ends_when_its_processes_were_twice_not_found() -> None:
    tracker = Tracker(Doors())
    for event in [setns(5, INSIDE), execution(5, INSIDE)]:
        tracker.feed(event)
    later = 10**12

    def nobody(_pid: int, _start: int) -> bool:
        return False

    assert tracker.reconcile(nobody, later) == []
    (ended,) = tracker.reconcile(nobody, later)
    assert isinstance(ended, Ended)
    assert tracker.open_sessions == 0


EVENTS = st.one_of(
    st.builds(setns, st.integers(2, 6), st.sampled_from([HOST, INSIDE, NET_ONLY])),
    st.builds(fork, st.integers(2, 6), st.integers(2, 6)),
    st.builds(execution, st.integers(2, 6), st.sampled_from([HOST, INSIDE, NET_ONLY])),
    st.builds(gone, st.integers(2, 6), st.sampled_from([HOST, INSIDE, NET_ONLY])),
)


@given(st.lists(st.tuples(EVENTS, st.integers(1, 3)), max_size=40))
def test_whatever_comes_a_session_is_entered_once_and_ended_at_most_once(
    steps: list[tuple[KernelEvent, int]],
) -> None:
    """Also when events were lost or come in an order that no kernel makes."""
    tracker = Tracker(Doors())
    open_: set[int] = set()
    for event, cookie in steps:
        moved = dataclasses.replace(event, head=dataclasses.replace(event.head, cookie=cookie))
        for outcome in tracker.feed(moved):
            if isinstance(outcome, Entered):
                assert outcome.crossing.cookie not in open_
                open_.add(outcome.crossing.cookie)
            elif isinstance(outcome, Ended):
                open_.remove(outcome.crossing.cookie)
            elif isinstance(outcome, (Commanded, Exited)):
                assert outcome.crossing.cookie in open_
    assert tracker.open_sessions == len(open_)
