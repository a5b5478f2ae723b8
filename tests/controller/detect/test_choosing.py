# SPDX-License-Identifier: Apache-2.0
"""Which client asked for which visit: never a wrong name, whatever was connected and in whatever order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.detect.choosing import Sought, choose, key_of
from tests.controller import make
from tests.sensor.examples import CALLER

MS = 1_000_000
NOW = make.BEGIN


def client(name, *argv, pid=None, at=(), closed=False, witness=None, **caller):
    uid = {"jane": 1000, "bob": 1001}.get(name, 1002)
    known = {
        **CALLER,
        "pid": pid or uid,
        "argv": list(argv) or None,
        "comm": (argv or ["x"])[0],
        "login": {"uid": uid, "user": name, "session": uid - 990},
        "source": f"10.0.0.{uid - 990}:4000",
        "via": [],
        **caller,
    }
    return {
        "caller": known,
        "socket": "/run/docker.sock",
        "connected": list(at),
        "closed": closed,
        "witness": witness or ("connect" if at else "held"),
    }


def visit(name, *clients, at=NOW, argv=("id",), container="web", unseen=None, times=(None, None)):
    entry = make.entry(
        means="docker-exec",
        container=make.container(name=container),
        process=make.process(1000, *argv),
        exec_id=name,
        clients=list(clients),
        clients_unseen=unseen,
    )
    return Sought(name, {**entry, "session": name, "time": at}, *times)


def named(*visits, spent=()):
    return {session: each.principal["name"] for session, each in choose(visits, spent).items()}


JANE = ("docker", "exec", "web", "id")


def test_the_only_client_that_names_the_exec_asked_for_it_exactly():
    events = client("bob", "docker", "events", pid=7)
    who = choose([visit("v", client("jane", *JANE), events)])["v"].principal
    assert (who["name"], who["confidence"], who["source"]) == ("jane", "exact", "10.0.0.10:4000")
    assert who["evidence"][0] == "docker (pid 1000) was connected to /run/docker.sock"


def test_two_who_could_have_asked_are_both_told_and_neither_is_named():
    who = choose([visit("v", client("jane", *JANE), client("bob", *JANE))])["v"].principal
    assert (who["kind"], who["name"], who["confidence"]) == ("unknown", None, "none")
    assert [each.split()[0] for each in who["candidates"]] == ["bob", "jane"]


def test_one_who_connected_after_the_exec_did_not_ask_for_it_and_asked_for_the_next():
    jane, bob = client("jane", *JANE, at=[NOW - 60 * MS]), client("bob", *JANE, at=[NOW + 40 * MS])
    first = visit("v1", jane, at=NOW)
    second = visit("v2", jane, bob, at=NOW + 100 * MS)
    assert named(first, second) == {"v1": "jane", "v2": "bob"}
    assert named(second, first) == {"v1": "jane", "v2": "bob"}


def test_who_opened_the_stream_of_the_exec_between_its_making_and_its_start_asked_for_it():
    # Both before both entries; the daemon's times tell them apart.
    jane = client("jane", *JANE, at=[NOW - 90 * MS, NOW - 80 * MS])
    bob = client("bob", *JANE, at=[NOW - 88 * MS, NOW - 60 * MS])
    one = visit("v1", jane, bob, times=(NOW - 81 * MS, NOW - 79 * MS))
    two = visit("v2", jane, bob, times=(NOW - 61 * MS, NOW - 59 * MS))
    assert named(one, two) == {"v1": "jane", "v2": "bob"}


def test_who_was_seen_to_ask_for_this_very_exec_asked_for_it_whatever_else_is_said():
    curl = {**client("bob", "curl", "--unix-socket", closed=True), "asked": True}
    who = choose([visit("v1", curl), visit("v2", client("jane", *JANE, at=[NOW]))])
    assert (who["v1"].principal["name"], who["v1"].principal["confidence"]) == ("bob", "exact")
    assert "this very exec's id" in who["v1"].principal["reason"]
    assert who["v2"].principal["name"] == "jane"


def test_that_a_login_has_ended_is_said_however_sure_it_is_who_asked():
    kept = client("jane", *JANE, at=[NOW], login_ended=True)
    for each in (kept, {**kept, "asked": True}):
        who = choose([visit("v", each, client("bob", *JANE, at=[NOW], login_ended=True)), visit("w", each)])
        assert "that login has ended" in who["w"].principal["reason"]


def test_a_client_that_was_used_up_earlier_stands_in_nobodys_way():
    old, new = client("jane", "docker", "exec", "web", "id"), client("bob", *JANE)
    assert named(visit("v", old, new), spent=[key_of(old)]) == {"v": "bob"}


def test_a_program_that_does_not_say_what_for_is_named_weakly_and_only_when_it_was_alone():
    who = choose([visit("v", client("jane", "python3", "x.py"))])["v"].principal
    assert (who["name"], who["confidence"]) == ("jane", "weak")
    assert named(visit("v", client("jane", "python3"), client("bob", "curl"))) == {"v": None}


def test_two_clients_of_one_person_are_that_person():
    two = [client("jane", *JANE, pid=pid) for pid in (7, 8)]
    who = choose([visit("v", *two)])["v"].principal
    assert (who["name"], who["confidence"]) == ("jane", "strong")


def test_nobody_connected_and_the_kubelet_are_unknown_with_their_reasons():
    assert "nobody who was connected" in choose([visit("v")])["v"].principal["reason"]
    kubelet = client(
        "root", "kubelet", login=None, comm="kubelet", uid=0, opener="service", unit="kubelet.service"
    )
    assert "the kubelet asked" in choose([visit("v", kubelet)])["v"].principal["reason"]


def test_a_client_in_a_container_is_that_container():
    ci = client("root", *JANE, login=None, container_id="d" * 64, container_name="ci", opener="container")
    who = choose([visit("v", ci)])["v"].principal
    assert (who["kind"], who["name"], who["confidence"]) == ("container", "ci", "exact")


def test_what_could_not_be_seen_makes_it_less_sure():
    who = choose([visit("v", client("jane", *JANE), unseen="1 is gone")])["v"].principal
    assert (who["name"], who["confidence"]) == ("jane", "strong")


@st.composite
def worlds(draw):
    """People whose tools connect, have an exec made and started and then seen, with the times of all that."""
    people = ["jane", "bob", "eve"]
    truth, visits, clients = {}, [], []
    for number in range(draw(st.integers(1, 6))):
        person = draw(st.sampled_from(people))
        container = draw(st.sampled_from(["web", "db"]))
        begun = NOW + draw(st.integers(0, 300)) * MS
        created = begun + draw(st.integers(1, 30)) * MS
        stream = created + draw(st.integers(0, 3)) * MS
        started = stream + draw(st.integers(0, 3)) * MS
        seen = started + draw(st.integers(20, 90)) * MS
        tool = draw(st.booleans())
        argv = ("docker", "exec", container, "id") if tool else ("python3", "x.py")
        clients.append((person, argv, begun, stream, seen, 100 + number))
        truth[f"v{number}"] = person
        times = (created, started) if draw(st.booleans()) else (None, None)
        visits.append((f"v{number}", container, seen, times))
    bystanders = draw(
        st.lists(st.tuples(st.sampled_from(people), st.booleans(), st.integers(-300, 300)), max_size=3)
    )
    for number, (person, silent, at) in enumerate(bystanders):
        argv = ("curl", "x") if silent else ("docker", "events")
        clients.append((person, argv, NOW + at * MS, NOW + at * MS, NOW + 999 * MS, 900 + number))
    held = draw(st.booleans())
    made = []
    for name, container, seen, times in visits:
        there = [
            client(
                person,
                *argv,
                pid=pid,
                at=() if held else sorted({begun, stream} if stream <= seen else {begun}),
                # At the time of a look, one whose exec was seen long before is gone.
                closed=end < seen - 20 * MS,
            )
            for person, argv, begun, stream, end, pid in clients
            if begun <= seen
        ]
        made.append(visit(name, *there, at=seen, container=container, times=times))
    return truth, draw(st.permutations(made))


@settings(max_examples=400)
@given(worlds())
def test_whoever_is_named_surely_is_who_it_was(world):
    truth, visits = world
    for session, choice in choose(visits).items():
        who = choice.principal
        if who["name"] is not None and who["confidence"] in {"exact", "strong"}:
            assert who["name"] == truth[session], who["reason"]
        if who["candidates"]:
            assert truth[session] in [each.split()[0] for each in who["candidates"]]


@given(worlds())
def test_the_order_of_what_is_given_changes_nothing(world):
    _, visits = world
    forward, backward = choose(visits), choose(list(reversed(visits)))
    assert forward == backward
