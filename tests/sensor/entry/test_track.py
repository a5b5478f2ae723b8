# SPDX-License-Identifier: Apache-2.0
"""The tracker's decisions, each from the smallest sequence of kernel events that leads to it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.entry.crossing import (
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
)
from sensor.entry.track import MAX_CROSSINGS, THREAD_NS, Tracker
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

    def container_at(self, mnt: int) -> str | None:
        return self.owner(["mnt"], HOST._replace(mnt=mnt)).container

    def hosts(self, kinds: list[str], ns: NsSet) -> list[str]:
        return [kind for kind in kinds if getattr(ns, kind) == getattr(HOST, kind)]

    def is_host(self, mnt: int) -> bool:
        return mnt == HOST.mnt

    def begins(self, container: str, pid: int) -> bool:
        return False

    def is_running(self, container: str, pid: int) -> bool:
        return container == WEB

    def is_daemon(self, step: Step) -> bool:
        return step.comm == "dockerd"

    def copies(self, event: Setns) -> bool:
        return event.task.comm == "podman"


def head(kind: Kind, pid: int, flags: Flag = NONE, cookie: int = COOKIE) -> Head:
    return Head(kind, flags, 1000 + pid, cookie, pid * 10, pid, pid, 1, 0)


def facts(ns: NsSet, comm: str = "x", cgroup: str = "") -> Facts:
    return Facts(ns, 0, 1, 0, 0, 0, 0, 0, 0, 1, ns.mnt, comm, cgroup, "")


def setns(
    pid: int,
    joined: NsSet,
    comm: str = "nsenter",
    flags: Flag = NONE,
    cookie: int = COOKIE,
    previous: int = 0,
) -> Setns:
    seen = (head(Kind.SETNS, pid, flags, cookie), previous, HOST, joined, facts(joined, comm))
    return Setns(*seen, ancestry=(), exe=None, argv=None, runtime_pid=None, runtime_argv=None)


def fork(pid: int, parent: int, cookie: int = COOKIE) -> Fork:
    return Fork(head(Kind.FORK, pid, cookie=cookie), parent)


def execution(
    pid: int,
    now: NsSet,
    joined: NsSet | None = None,
    cgroup: str = "",
    ancestry: tuple[Step, ...] = (),
    cookie: int = COOKIE,
    flags: Flag = NONE,
) -> Exec:
    return Exec(
        head(Kind.EXEC, pid, flags, cookie),
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


def gone(pid: int, joined: NsSet = INSIDE, flags: Flag = NONE, status: int = 0, cookie: int = COOKIE) -> Exit:
    return Exit(head(Kind.EXIT, pid, flags, cookie), status, 1, HOST, joined)


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


def test_what_a_daemon_has_done_to_a_network_is_plumbing_whatever_it_is_called() -> None:
    plugin = (Step(1, 4, 0, HOST.mnt, 0, "bridge"), Step(1, 3, 0, HOST.mnt, 0, "dockerd"))
    assert kinds(Tracker(Doors()), setns(5, NET_ONLY, "bridge"), execution(5, NET_ONLY, ancestry=plugin)) == [
        Crossed,
        Released,
    ]


@pytest.mark.parametrize("name", ["nsenter", "bridge", "exe", "dockerd"])
def test_a_person_who_joins_a_network_enters_whatever_the_program_is_called(name: str) -> None:
    shell = (Step(1, 4, 0, HOST.mnt, 0, "bash"),)
    assert kinds(Tracker(Doors()), setns(5, NET_ONLY, name), execution(5, NET_ONLY, ancestry=shell)) == [
        Crossed,
        Entered,
    ]


def test_namespaces_of_no_container_are_foreign() -> None:
    other = HOST._replace(mnt=500)
    outcomes = Tracker(Doors())
    outcomes.feed(setns(5, other))
    assert outcomes.feed(execution(5, other)) == [Released(COOKIE, "foreign")]


def test_podman_that_copies_in_its_first_thread_attempts_nothing() -> None:
    assert kinds(Tracker(Doors()), setns(5, INSIDE, "podman"), gone(5)) == [Crossed, Released]
    assert kinds(Tracker(Doors()), setns(5, INSIDE, "podman"), execution(5, INSIDE)) == [Crossed, Entered]


def test_a_join_that_executes_nothing_is_an_attempt_and_of_the_network_alone_nothing() -> None:
    assert kinds(Tracker(Doors()), setns(5, INSIDE), fork(6, 5), gone(5), gone(6)) == [Crossed, Attempted]
    assert kinds(Tracker(Doors()), setns(5, NET_ONLY), gone(5, NET_ONLY)) == [Crossed, Released]


def test_a_thread_that_joins_and_comes_back_leaves_nothing() -> None:
    tracker = Tracker(Doors())
    assert kinds(
        tracker, setns(5, NET_ONLY, flags=Flag.THREAD), setns(5, HOST, flags=Flag.THREAD | Flag.RETURNED)
    ) == [Crossed, Released]


def test_who_comes_back_leaves_the_session_to_the_children_that_are_still_inside() -> None:
    tracker = Tracker(Doors())
    back = setns(5, HOST, flags=Flag.RETURNED)
    assert kinds(tracker, setns(5, INSIDE), fork(6, 5), execution(6, INSIDE), back) == [Crossed, Entered]
    assert kinds(tracker, fork(7, 6), execution(7, INSIDE)) == [Commanded]
    assert kinds(tracker, gone(7), gone(6)) == [Exited, Exited, Ended]


def in_session(*events: KernelEvent) -> Tracker:
    """A tracker with a session whose shell is pid 5, and what followed."""
    tracker = Tracker(Doors())
    for event in [setns(5, INSIDE), execution(5, INSIDE), *events]:
        tracker.feed(event)
    return tracker


ELSEWHERE = INSIDE._replace(net=99)
NEXT = COOKIE + 1


def test_nobody_leaves_a_session_by_joining_a_namespace_of_no_container() -> None:
    """Else one nsenter into a network namespace of one's own would be the way out of sight."""
    away = setns(6, ELSEWHERE._replace(mnt=3), cookie=NEXT, previous=COOKIE)
    tracker = in_session(fork(6, 5), execution(6, INSIDE), away)
    left, command = tracker.feed(execution(6, HOST._replace(net=99), cookie=NEXT))
    assert left == Released(NEXT, "within")
    assert isinstance(command, Commanded)
    assert command.crossing.cookie == COOKIE
    (command,) = [
        outcome
        for event in (fork(7, 6, NEXT), execution(7, HOST._replace(net=99), cookie=NEXT))
        for outcome in tracker.feed(event)
    ]
    assert isinstance(command, Commanded)
    assert command.parent == 6
    assert kinds(tracker, gone(5), gone(6, cookie=NEXT)) == [Exited, Exited]
    assert kinds(tracker, gone(7, cookie=NEXT)) == [Exited, Ended]
    assert tracker.open_sessions == 0


def test_an_entry_out_of_a_session_is_one_more_and_the_first_lasts_as_long() -> None:
    tracker = in_session(fork(6, 5), execution(6, INSIDE), setns(6, INSIDE, cookie=NEXT, previous=COOKIE))
    assert kinds(tracker, execution(6, INSIDE, cookie=NEXT)) == [Entered]
    assert tracker.open_sessions == 2
    assert kinds(tracker, gone(5)) == [Exited]
    assert kinds(tracker, gone(6, cookie=NEXT)) == [Exited, Ended, Exited, Ended]


def test_a_mount_namespace_that_a_session_makes_is_told() -> None:
    own = execution(5, INSIDE._replace(mnt=99), INSIDE, flags=Flag.INIT | Flag.NEW_MOUNT)
    assert kinds(in_session(), own) == [Commanded, Started]
    assert kinds(in_session(), gone(5, flags=Flag.INIT), gone(5)) == [Stopped, Exited, Ended]


def test_a_session_given_up_takes_no_command_any_more() -> None:
    away = setns(6, ELSEWHERE._replace(mnt=3), cookie=NEXT, previous=COOKIE)
    tracker = in_session(fork(6, 5), away, execution(6, HOST, HOST, cookie=NEXT))
    for cookie in range(1000, 1000 + MAX_CROSSINGS):
        tracker.feed(fork(8, 9, cookie))
    outcomes = kinds(tracker, execution(6, HOST, HOST, cookie=NEXT), execution(5, INSIDE))
    assert Commanded not in outcomes
    assert Entered not in outcomes


def test_what_is_on_its_way_of_a_lineage_that_was_given_up_is_no_entry() -> None:
    """A container's first processes fork and execute before the kernel learns that theirs was a start."""
    joined = HOST._replace(net=14)
    pod = joined._replace(mnt=99)
    tracker = Tracker(Doors())
    tracker.feed(setns(5, joined, "runc"))
    assert kinds(tracker, execution(5, pod, joined, cgroup="b" * 64)) == [Released, Started]
    assert kinds(tracker, fork(6, 5), execution(6, pod, joined, cgroup="b" * 64), gone(6)) == []
    first = execution(7, pod._replace(mnt=100), joined, flags=Flag.INIT | Flag.NEW_MOUNT)
    assert kinds(tracker, first) == [Started]


def test_who_comes_from_the_host_into_a_containers_cgroup_enters_though_its_start_was_not_seen() -> None:
    unseen = HOST._replace(mnt=500, net=501)

    class Unseen(Doors):
        def knows_mount(self, mnt: int) -> bool:
            return False

    tracker = Tracker(Unseen())
    tracker.feed(setns(5, unseen))
    (entry,) = tracker.feed(execution(5, unseen, cgroup="b" * 64))
    assert isinstance(entry, Entered)
    assert (entry.crossing.owner.container, entry.cgroup_container) == (None, "b" * 64)


def test_what_is_kept_of_a_session_is_bounded_by_its_live_processes() -> None:
    tracker = Tracker(Doors())
    (_, entered) = [
        outcome for event in (setns(5, INSIDE), execution(5, INSIDE)) for outcome in tracker.feed(event)
    ]
    assert isinstance(entered, Entered)
    for pid in range(10, 1000):
        for event in (fork(pid, 5), execution(pid, INSIDE), gone(pid)):
            tracker.feed(event)
    session = entered.crossing
    assert (len(session.live), len(session.parents), len(session.executed)) == (1, 0, 1)
    assert session.commands == 991


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


def test_a_session_that_an_earlier_sensor_saw_begin_is_told_as_not_seen_to_begin() -> None:
    (entered,) = Tracker(Doors()).feed(execution(5, INSIDE, flags=Flag.EXECUTED))
    assert isinstance(entered, Entered)
    assert not entered.witnessed


def test_a_session_that_flooded_lasts_as_long_as_the_kernel_follows_a_task_of_it() -> None:
    """Its processes were not all told: that none is known to live says nothing."""
    tracker = in_session()
    assert kinds(tracker, gone(5, flags=Flag.EXECUTED | Flag.LEFT_OUT)) == [Exited]
    assert tracker.open_sessions == 1
    for followed in ({COOKIE}, None, set(), {COOKIE}, set()):
        assert tracker.reconcile(lambda _pid, _start: False, THREAD_NS * 2, lambda now=followed: now) == []
    (ended,) = tracker.reconcile(lambda _pid, _start: False, THREAD_NS * 2, set)
    assert isinstance(ended, Ended)
    assert tracker.open_sessions == 0


def test_a_session_that_flooded_lasts_while_a_crossing_out_of_it_does() -> None:
    tracker = in_session()
    tracker.feed(setns(5, ELSEWHERE, cookie=NEXT, previous=COOKIE))
    tracker.feed(gone(5, flags=Flag.EXECUTED | Flag.LEFT_OUT, cookie=NEXT))
    for _ in range(3):
        tracker.reconcile(lambda _pid, _start: False, THREAD_NS * 2, lambda: {NEXT})
    assert tracker.open_sessions == 1
