# SPDX-License-Identifier: Apache-2.0
"""What is normal: learned of containers themselves, of visits only on a person's word, told once when it is new."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect import approving, shipped
from controller.detect.baseline import MAX_VALUE, Normal, Trait, of_activity, shape, subjects, workload
from controller.detect.catalogue import BUILT_IN, load
from controller.detect.engine import Engine
from controller.detect.worker import Worker
from controller.store import baselines
from controller.store.schema import alerts, findings
from tests.controller import make
from tests.controller.detect.building import collector, command, event

DAY = 24 * 3600 * 10**9
IMAGE = f"image {event('docker-exec')['container']['image']}"


class Clock:
    def __init__(self):
        self.now = 1000 * DAY

    def __call__(self):
        return self.now


@pytest.fixture
def here(tmp_path):
    with collector(tmp_path) as made:
        yield made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def feed(here, clock):
    """Gives events to a worker with the one detection."""
    worker = Worker(here.store, here.bus, Engine([load(BUILT_IN / "outside_baseline")]), clock=clock)

    def give(*events):
        here.take_in(*events)
        while worker.run_once():
            pass

    return give


def ran(number, program, **more):
    return event(
        "activity", number, exe=program, filename=program, argv=[program], key=f"{number:016x}", **more
    )


def started(number):
    return {**make.start(number), "id": f"h1/b1/{number}", "container": event("docker-exec")["container"]}


def of(here, subject=IMAGE):
    with here.store.read() as connection:
        return {(each["value"], each["status"]) for each in baselines.traits_of(connection, subject)}


def decide(here, work):
    return here.store.write(work)


def test_what_a_container_does_on_its_first_day_is_learned_and_nothing_is_alerted(here, feed):
    feed(started(1), ran(2, "/bin/a"), ran(3, "/bin/b"))
    assert {("/bin/a", "known"), ("/bin/b", "known")} <= of(here)
    assert here.rows(alerts) == []


def test_what_came_before_its_container_was_known_does_not_hide_what_comes_after(here, feed):
    feed(ran(1, "/bin/a"))
    assert of(here) == set()
    feed(started(2), ran(3, "/bin/b"))
    assert ("/bin/b", "known") in of(here)


def test_what_is_new_after_that_fires_once_and_waits_for_a_word(here, feed, clock):
    feed(started(1), ran(2, "/bin/a"))
    clock.now += DAY
    feed(ran(3, "/bin/new"), ran(4, "/bin/new", count=7), ran(5, "/bin/a", count=9))
    assert ("/bin/new", "waiting") in of(here)
    (found,) = here.rows(findings)
    assert "/bin/new" in found["reason"]


def test_another_file_at_a_known_path_fires_once_it_is_read_and_in_its_own_words(here, feed, clock):
    """Not before: a digest that is not known yet is not a different one."""
    feed(started(1), ran(2, "/bin/a"), ran(3, "/bin/a", digest="a" * 64), ran(10, "/bin/late"))
    clock.now += DAY
    feed(ran(4, "/bin/a"), ran(5, "/bin/a", digest="a" * 64), ran(6, "/bin/late", digest="c" * 64))
    assert here.rows(findings) == []
    feed(ran(7, "/bin/a", digest="b" * 64), ran(8, "/bin/a", digest="b" * 64, count=9))
    (found,) = here.rows(findings)
    assert f"another file than before as /bin/a (SHA-256 {'b' * 64})" in found["reason"]
    assert (f"/bin/a {'b' * 64}", "waiting") in of(here)
    assert (f"/bin/late {'c' * 64}", "waiting") in of(here)


def test_parents_and_hours_of_what_a_container_does_of_itself_are_learned(here, feed):
    feed(started(1), ran(2, "/bin/sh", parent_exe="/usr/sbin/nginx", time=1764000000000000000))
    assert {("/usr/sbin/nginx → /bin/sh", "known"), ("16", "known")} <= of(here)


def test_the_digest_of_the_longest_path_is_whole(here, feed):
    feed(started(1), ran(2, "/" + "p" * 4000, digest="a" * 64))
    (value,) = [value for value, _ in of(here) if value.endswith("a" * 64)]
    assert len(value) <= MAX_VALUE


def test_what_was_accepted_is_normal_and_what_was_rejected_fires_again(here, feed, clock):
    feed(started(1), ran(2, "/bin/a"))
    clock.now += DAY
    feed(ran(3, "/bin/good"), ran(4, "/bin/bad"))
    good, bad = (baselines.key_of(Trait("own", "program", each)) for each in ("/bin/good", "/bin/bad"))
    decide(here, lambda c: baselines.decide(c, IMAGE, [good], "known", ("ann", clock.now + 1)))
    decide(here, lambda c: baselines.decide(c, IMAGE, [bad], "rejected", ("ann", clock.now + 2)))
    before = len(here.rows(findings))
    feed(ran(5, "/bin/good"), ran(6, "/bin/bad"))
    after = here.rows(findings)
    assert len(after) == before + 1
    assert "/bin/bad" in after[-1]["reason"]


def test_nothing_is_learned_from_a_visit_before_somebody_approves_it(here, feed, clock):
    visit = (event("docker-exec"), command(2, "ps"))
    feed(*visit)
    with here.store.read() as connection:
        assert baselines.list_(connection, clock.now) == []
    named, new = decide(here, lambda c: approving.approve(c, visit[0]["session"], ("ann", clock.now)))
    assert named == (IMAGE,)
    assert new > 3
    with here.store.read() as connection:
        traits = baselines.traits_of(connection, IMAGE)
    assert {each["side"] for each in traits} == {"visit"}
    assert {"means", "program", "arguments", "user", "hour"} <= {each["facet"] for each in traits}
    assert {each["author"] for each in traits} == {"ann"}


def test_a_frozen_baseline_takes_nothing_in_until_it_is_thawed(here, feed, clock):
    feed(started(1), ran(2, "/bin/a"))
    decide(here, lambda c: baselines.set_state(c, IMAGE, "frozen", ("ann", clock.now)))
    feed(ran(3, "/bin/b"))
    assert ("/bin/b", "waiting") in of(here)
    with pytest.raises(baselines.FrozenError, match="thaw"):
        decide(here, lambda c: baselines.decide(c, IMAGE, None, "known", ("ann", clock.now)))
    decide(here, lambda c: baselines.set_state(c, IMAGE, "ready", ("ann", clock.now)))
    assert decide(here, lambda c: baselines.decide(c, IMAGE, None, "known", ("ann", clock.now))) > 0


def test_a_baseline_is_bounded_and_what_is_left_out_is_counted(here, feed, clock):
    feed(started(1), ran(2, "/bin/a"))
    many = [Trait("own", "program", f"/bin/{number}") for number in range(baselines.MAX_TRAITS + 10)]
    decide(here, lambda c: baselines.observe(c, [IMAGE], many, "x", clock.now))
    with here.store.read() as connection:
        shown = baselines.show(connection, IMAGE, clock.now)
    assert shown["known"] == baselines.MAX_TRAITS
    assert shown["left_out"] >= 10


POD = {"namespace": "shop", "name": "cart-7d9f8b6c5d-x2x4z", "uid": None}


@pytest.mark.parametrize(
    ("container", "named"),
    [
        ({"pod": POD, "labels": {"app": "cart", "io.kubernetes.container.name": "app"}}, "shop/cart/app"),
        ({"pod": POD, "labels": {}, "name": "app"}, "shop/cart/app"),
        ({"pod": {**POD, "name": "db-0"}, "labels": {}, "name": "pg"}, "shop/db/pg"),
        (
            {"pod": None, "labels": {"com.docker.compose.project": "p", "com.docker.compose.service": "s"}},
            "p/s",
        ),
        ({"pod": None, "labels": {}}, None),
    ],
)
def test_a_workload_outlives_the_names_that_are_made_up_for_its_copies(container, named):
    assert workload(container) == named
    assert subjects({**container, "image": None}) == ((f"workload {named}",) if named else ())


def test_nothing_is_unusual_while_one_of_the_baselines_learns():
    known = frozenset({Trait("own", "program", "/bin/a")})
    other = Trait("own", "program", "/bin/b")
    normal = Normal(("image a", "workload b"), ("ready", "frozen"), known)
    assert normal.outside(other)
    assert not replace(normal, states=("ready", "learning")).outside(other)
    assert not normal.outside(Trait("visit", "program", "/bin/b")), "no visit was ever approved"


@given(st.lists(st.text()))
def test_the_shape_of_any_command_line_is_bounded_and_can_be_printed(argv):
    for each in of_activity({**event("activity"), "exe": "/x", "argv": ["x", *argv]}):
        assert len(each.value) <= MAX_VALUE
        assert each.value.isprintable()


def test_what_differs_from_run_to_run_is_not_part_of_a_shape():
    assert shape(["--port=8080", "-id", "9f86d081884c7d659a2f"]) == shape(
        ["--port=9090", "-id", "0123456789abcdef"]
    )
    assert shape(["-r", "a"]) != shape(["-w", "a"])


@given(
    st.lists(
        st.builds(
            Trait,
            st.sampled_from(["own", "visit"]),
            st.sampled_from(["program", "hour"]),
            st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=40),
        ),
        unique=True,
    )
)
def test_what_is_exported_is_imported_alike(tmp_path_factory, traits):
    path = tmp_path_factory.mktemp("shipped") / "baseline.json"
    path.write_text(shipped.write("image a:1", traits))
    assert shipped.read(path) == ("image a:1", sorted(traits))


@given(st.binary(max_size=400))
def test_any_other_file_is_refused_in_words(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("shipped") / "other"
    path.write_bytes(data)
    with pytest.raises(shipped.BadDocumentError, match="baseline"):
        shipped.read(path)
