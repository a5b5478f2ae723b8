# SPDX-License-Identifier: Apache-2.0
"""What containers do of themselves is counted by container, once, and bounded; losses by container too."""

from __future__ import annotations

from controller.store import activities, containers, hosts
from controller.store.losses import SHOWN
from tests.controller import make


def kinds(store, **more):
    with store.read() as connection:
        return activities.list_(connection, make.HOST, make.CONTAINER, limit=5000, **more)


def test_a_kind_is_told_once_and_then_counted(store, take):
    take(make.activity(1, count=1), make.activity(61, count=250), make.activity(30, count=99))

    (kind,) = kinds(store)
    assert (kind["count"], kind["argv"], kind["first_ns"]) == (250, ["ls"], make.BEGIN)
    assert kind["last_ns"] == make.BEGIN + 61 * make.SECOND


def test_counts_go_on_when_the_sensor_began_anew(store, take):
    """It counts from 1 again, and says so by another `first`."""
    again = make.activity(9, count=5, first=make.BEGIN + 8 * make.SECOND)
    take(make.activity(1, count=10), again, again)

    assert [kind["count"] for kind in kinds(store)] == [15]


def test_more_runs_than_are_kept_apart_still_add_up(store, take):
    runs = activities.MAX_RUNS + 10
    take(*(make.activity(at, count=3, first=make.BEGIN + at) for at in range(1, runs + 1)))

    assert [kind["count"] for kind in kinds(store)] == [3 * runs]
    take(make.activity(1, count=3, first=make.BEGIN + 1))
    assert [kind["count"] for kind in kinds(store)] == [3 * runs], "told again, it is not added again"


def test_a_container_that_does_ever_new_things_is_bounded_and_what_is_left_out_is_counted(store, take):
    """What it did last stays; another container's stays whatever this one does."""
    take(make.activity(1, container_id="d" * 64))
    numbers = range(2, activities.MAX_KINDS + 12)
    take(*(make.activity(at, key=f"{at:016x}", first=make.BEGIN + at) for at in numbers))

    kept = kinds(store)
    assert len(kept) == activities.MAX_KINDS
    assert kept[0]["key"] == f"{numbers[-1]:016x}"
    with store.read() as connection:
        box = containers.show(connection, make.CONTAINER)
        other = containers.show(connection, "d" * 64)
    assert (box["activities"], box["activities_left_out"]) == (activities.MAX_KINDS, 10)
    assert (other["activities"], other["activities_left_out"]) == (1, 0)


def test_a_container_that_only_acts_is_known_by_its_id(store, take):
    """It ran before the sensor and nobody entered: all that is told of it is what it does."""
    take(make.activity(1))
    with store.read() as connection:
        box = containers.show(connection, make.CONTAINER)
    assert (box["name"], box["image"], box["runtime"], box["activities"]) == (None, None, "unknown", 1)

    take(make.activity(3), make.activity(2, key="k"))
    with store.read() as connection:
        assert containers.show(connection, make.CONTAINER[:12])["activities"] == 2


def test_activity_takes_no_knowledge_of_its_container_away(store, take):
    take(make.activity(4))
    with store.read() as connection:
        before = containers.show(connection, make.CONTAINER)["name"]
    take(make.start(1))
    take(make.activity(5))

    with store.read() as connection:
        assert (before, containers.show(connection, make.CONTAINER)["name"]) == (None, "web")


def test_connects_and_execs_are_asked_for_apart_and_in_pages(store, take):
    connect = {"what": "connect", "address": "192.0.2.7", "port": 443, "protocol": "tcp", "argv": None}
    take(make.activity(1), *(make.activity(at, key=f"k{at}", first=at, **connect) for at in (2, 3, 4)))

    assert [kind["what"] for kind in kinds(store, what="exec")] == ["exec"]
    with store.read() as connection:
        page = activities.list_(connection, make.HOST, make.CONTAINER, "connect", 2)
        rest = activities.list_(
            connection, make.HOST, make.CONTAINER, "connect", 2, (page[-1]["first_ns"], "k3")
        )
    assert [kind["key"] for kind in page + rest] == ["k4", "k3", "k2"]


def test_no_count_that_a_sensor_may_send_breaks_the_sum(store, take):
    most = 2**63 - 1
    take(make.activity(1, count=most), make.activity(2, count=most, first=5))

    assert [kind["count"] for kind in kinds(store)] == [most]


def test_losses_are_told_by_container_those_that_lost_most_first(store, host, take):
    from controller.bus import EmbeddedBus  # noqa: PLC0415

    ordinary = "kernel.lost.ordinary"
    lost = [
        make.loss(1, ordinary, 3, container_id=make.CONTAINER),
        make.loss(2, "other", 2**63 - 1, container_id="d" * 64),
        make.loss(3, ordinary, 4, container_id=make.CONTAINER),
        make.loss(4, ordinary, 9),
        *(make.loss(at, ordinary, 1, container_id=f"{at:064x}") for at in range(5, SHOWN + 5)),
    ]
    EmbeddedBus(store).append(host, lost, make.BEGIN).result()
    take(make.start(200))

    with store.read() as connection:
        shown = hosts.show(connection, host)
        box = containers.show(connection, "web")
        (listed,) = hosts.list_(connection)
    by_container = shown["losses_by_container"]
    assert len(by_container) == SHOWN
    assert by_container[0]["container"] == "d" * 64
    assert by_container[1] == {"container": make.CONTAINER, "name": "web", "count": 7}
    assert shown["losses_of_other_containers"] == 2
    assert box["losses"] == {ordinary: 7}
    assert listed["losses"][ordinary] == 9 + 7 + SHOWN
