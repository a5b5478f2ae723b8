# SPDX-License-Identifier: Apache-2.0
"""By whom a container was changed: the client that says so, and never a wrong name."""

from __future__ import annotations

import pytest

from controller.detect.changing import choose, key, says
from tests.controller import make
from tests.controller.detect.test_choosing import client
from tests.sensor.examples import CALLER

NOW = make.BEGIN


def event(*clients, told=("update",), because="changed", name="web", labels=None, **more):
    made = make.configuration(9, because)
    container = make.container(name=name, labels=labels or {})
    return {**made, "container": container, "time": NOW, "told": list(told), "clients": list(clients),
            "clients_unseen": None, "caller": None, **more}  # fmt: skip


def who(*clients, **more):
    found = choose(event(*clients, **more)).principal
    return found["name"], found["confidence"]


JANE = client("jane", "docker", "update", "--memory=64m", "web", at=(NOW - 10,))


def test_the_only_client_whose_command_names_the_change_made_it():
    assert who(JANE, client("bob", "docker", "events", at=(NOW - 99,))) == ("jane", "exact")


def test_one_who_does_not_say_what_for_makes_it_less_sure():
    assert who(JANE, client("bob", "curl", at=(NOW - 9,))) == ("jane", "strong")
    assert who(client("bob", "curl", at=(NOW - 9,))) == ("bob", "strong")
    assert who(client("bob", "curl")) == ("bob", "weak")


def test_of_two_who_may_have_neither_is_named():
    other = client("bob", "docker", "update", "--cpus=1", "web", at=(NOW - 8,))
    found = choose(event(JANE, other)).principal
    assert found["name"] is None
    assert [each.split()[0] for each in found["candidates"]] == ["bob", "jane"] or len(
        found["candidates"]
    ) == 2


def test_a_command_makes_one_change():
    other = client("bob", "docker", "update", "--cpus=1", "web", at=(NOW - 8,))
    choice = choose(event(JANE, other), None, {key(JANE)})
    assert (choice.principal["name"], choice.client) == ("bob", key(other))


def test_a_command_that_was_over_when_the_one_before_was_told_of_did_not_make_this():
    run = ("docker", "run", "-d", "--name=web", "busybox:demo")
    before = client("jane", *run, at=(NOW - 900,), closed=True)
    now = client("bob", *run, at=(NOW - 100,), closed=True)
    made = event(before, now, told=("create",), because="start")
    assert choose(made, None, (), NOW - 500).principal["name"] == "bob"
    assert choose(made, None, (), NOW - 950).principal["name"] is None


def test_nobody_is_named_where_nobody_was_connected_and_where_no_sensor_watched():
    assert who() == (None, "none")
    assert who(JANE, because="found") == (None, "none")


def test_who_did_it_without_a_daemon_is_named():
    login = {"uid": 1000, "user": "jane", "session": 3}
    caller = {**CALLER, "login": login, "container_id": None, "comm": "podman", "opener": "ssh"}
    assert who(because="start", told=(), caller=caller) == ("jane", "exact")


def test_the_user_of_the_audit_is_named_for_a_pod_and_the_kubelet_for_nobody():
    kubelet = client("root", "kubelet", comm="kubelet")
    assert choose(event(kubelet, because="start", told=("create",))).principal["kind"] == "unknown"
    request = {"user": "alice", "addresses": ["10.0.0.9"], "impersonated": None}
    found = choose(event(kubelet, because="start"), request).principal
    assert (found["kind"], found["name"], found["confidence"]) == ("kubernetes", "alice", "strong")


@pytest.mark.parametrize(
    ("line", "told", "said"),
    [
        ("docker update web", "update", "names"),
        ("docker container update --cpus 1 cccccccccccc", "update", "names"),
        ("docker update other", "update", "else"),
        ("docker ps", "update", "else"),
        ("docker exec web id", "update", "else"),
        ("docker rename old web", "rename", "names"),
        ("docker network connect back web", "network_connect", "names"),
        ("docker network connect back other", "network_connect", "else"),
        ("docker run -d --name web busybox:demo", "create", "names"),
        ("docker run -d --name=web2 busybox:demo", "create", "else"),
        ("docker run -d busybox:demo sleep 9", "create", "names"),
        ("docker run -d another", "create", "nothing"),
        ("docker start web", "start", "names"),
        ("docker compose up -d", "create", "else"),
        ("podman rename old web", "rename", "names"),
        ("docker --strange x update web", "update", "nothing"),
        ("python3 deploy.py", "update", "nothing"),
    ],
)
def test_what_a_command_line_says_of_a_change(line, told, said):
    assert (
        says(line.split(), event(told=(told,), because="start" if told in {"create", "start"} else "changed"))
        == said
    )


def test_compose_makes_the_containers_of_compose_and_no_other():
    labels = {"com.docker.compose.project": "shop"}
    line = ["docker-compose", "up", "-d"]
    assert says(line, event(told=("create",), because="start", labels=labels)) == "names"
