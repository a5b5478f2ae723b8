# SPDX-License-Identifier: Apache-2.0
"""Activities of containers: counted as the kernel counts, let go of when it or the container is gone."""

from __future__ import annotations

import itertools
from collections import Counter
from types import SimpleNamespace

import pytest

from sensor.entry import activity
from sensor.entry.activity import Activities
from sensor.probe.ordinary import KEY, OTHERS, Tally

MNT = 4026532000


class Lane:
    """The maps of the kernel, as OrdinaryLane reads them."""

    def __init__(self):
        self.alike: dict[bytes, int] = {}
        self.tally: dict[int, Tally] = {OTHERS: Tally(0, 0, 0)}
        self.waiting: list[bytes] = []
        self.ignored: list[int] = []

    def read(self):
        found, self.waiting = self.waiting, []
        return found

    def counts(self):
        return iter(self.alike.items())

    def tallies(self):
        return self.tally

    def ignore(self, mnt):
        self.ignored.append(mnt)

    def forget(self, mounts):
        for mnt in mounts:
            del self.tally[mnt]
        self.alike = {key: count for key, count in self.alike.items() if KEY.unpack(key)[1] not in mounts}


@pytest.fixture
def lane():
    return Lane()


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def running():
    """Containers by mount namespace."""
    return {MNT: SimpleNamespace(id="c" * 64)}


@pytest.fixture
def told():
    return []


@pytest.fixture
def activities(running, counts, told, monkeypatch):
    monkeypatch.setattr(activity, "decode", lambda seen: seen)
    numbers = itertools.count(1)

    def count(name):
        counts[name] += 1

    return Activities(
        running.get,
        lambda: f"h/b/{next(numbers)}",
        told.append,
        lambda argv: (argv, False),
        lambda mono: mono,
        count,
    )


def seen(number=1, mnt=MNT, **more):
    known = {"key": KEY.pack(5, mnt, number, 0, 0), "kind": 5, "mnt": mnt, "time": 1, "pid": 7, "start": 1}
    file = {"uid": 0, "comm": "ls", "exe": "/bin/ls", "filename": "ls", "argv": ["ls", str(number)]}
    return SimpleNamespace(**known, **file, argv_cut=False, address=None, port=None, protocol=None, **more)


def do(lane, activities, what):
    """The kernel sees `what` for the first time."""
    lane.alike[what.key] = 0
    lane.tally.setdefault(what.mnt, Tally(0, 0, 0))
    lane.waiting.append(what)
    activities.take(lane)


def test_what_the_kernel_forgot_for_want_of_room_is_reported(lane, activities, counts, told):
    """Its count since the last collection is lost, and nobody could know."""
    do(lane, activities, seen(1))
    do(lane, activities, seen(2))
    lane.alike[seen(2).key] = 6
    del lane.alike[seen(1).key]

    activities.collect(lane)

    assert counts[activity.EVICTED] == 1
    assert [each["count"] for each in told] == [1, 1, 7]
    activities.collect(lane)
    assert counts[activity.EVICTED] == 1, "once"


def test_a_container_that_is_gone_is_forgotten_after_its_last_counts_and_losses_were_told(
    lane, activities, counts, told, running
):
    do(lane, activities, seen(1))
    lane.alike[seen(1).key] = 4
    lane.tally[MNT] = Tally(9, 1, 3)
    running.clear()

    activities.collect(lane)
    assert MNT in lane.tally, "its start may only be waiting to be read"
    activities.collect(lane)

    assert set(lane.tally) == {OTHERS}
    assert lane.alike == {}
    assert [each["count"] for each in told] == [1, 5, 3]
    assert counts[activity.EVICTED] == 0
    activities.collect(lane)
    assert counts[activity.EVICTED] == 0


def test_a_mount_namespace_that_comes_back_is_of_its_new_container(lane, activities, told, running):
    do(lane, activities, seen(1))
    del running[MNT]
    activities.collect(lane)
    activities.collect(lane)
    running[MNT] = SimpleNamespace(id="d" * 64)

    do(lane, activities, seen(1))
    lane.tally[MNT] = Tally(5, 1, 2)
    activities.lost(lane)

    assert [each["container_id"][0] for each in told] == ["c", "d", "d"]
    assert told[-1]["count"] == 2, "losses are counted from nothing again"


def test_a_container_that_is_only_late_keeps_what_was_counted(lane, activities, running):
    do(lane, activities, seen(1))
    known = running.pop(MNT)
    activities.collect(lane)
    running[MNT] = known
    activities.collect(lane)
    del running[MNT]
    activities.collect(lane)

    assert MNT in lane.tally


def test_what_a_container_lost_is_told_of_it_though_it_is_gone_when_that_is_read(
    lane, activities, running, told
):
    do(lane, activities, seen(1))
    lane.tally[MNT] = Tally(10, 1, 9)
    known = running.pop(MNT)

    activities.lost(lane)

    assert told[-1]["kind"] == "loss"
    assert (told[-1]["container_id"], told[-1]["count"]) == (known.id, 9)
