# SPDX-License-Identifier: Apache-2.0
"""How a container is configured is told once, and again only when it changed."""

from __future__ import annotations

from itertools import count

import pytest

from sensor.enrich.configuration import NOTHING
from sensor.enrich.facts import Check, Facts
from sensor.enrich.known import Known
from sensor.entry import configured as configured_module
from sensor.entry.configured import Configured
from sensor.who.asking import Asked

HOST = {"mnt": 1, "net": 2, "pid": 3, "user": 4, "ipc": 5, "uts": 6, "cgroup": 7}


@pytest.fixture
def told():
    return []


@pytest.fixture
def configured(told):
    numbers = count(1)

    def redact(argv):
        return ["***" if "secret" in word else word for word in argv], True

    return Configured(lambda: f"h/b/{next(numbers)}", told.append, redact, HOST)


def container(**settings):
    known = Known("c1", 10, 20, {**HOST, "mnt": 90, "ipc": 91, "uts": 92, "cgroup": 93}, "docker", None)
    known.learn(Facts(name="web", settings={**NOTHING, **settings}))
    known.settle()
    return known


def test_the_same_is_told_once_and_a_change_again(configured, told):
    configured.started("c1")
    configured.tell(container(memory=1))
    configured.tell(container(memory=1))
    configured.tell(container(memory=2))
    assert [(event["because"], event["settings"]["memory"]) for event in told] == [
        ("start", 1),
        ("changed", 2),
    ]


def test_a_container_that_starts_again_is_told_again_and_one_that_was_there_is_found(configured, told):
    configured.tell(container(memory=1))
    configured.stopped("c1")
    configured.started("c1")
    configured.tell(container(memory=1))
    assert [event["because"] for event in told] == ["found", "start"]


def test_a_container_that_ended_before_its_daemon_answered_is_told_and_not_kept(configured, told):
    configured.started("c1")
    configured.stopped("c1")
    configured.tell(container(memory=1), runs=False)
    configured.tell(container(memory=1), runs=False)
    assert [event["because"] for event in told] == ["start", "start"]


def test_what_is_kept_of_containers_is_of_those_that_run(configured, told):
    configured.tell(container(memory=1))
    configured.keep(set())
    configured.tell(container(memory=1))
    assert [event["because"] for event in told] == ["found", "found"]


def test_the_declared_checks_are_told_without_secrets_and_a_pod_whose_checks_nobody_tells_has_none_known(
    configured, told
):
    known = container(memory=1)
    known.learn(Facts(checks=(Check(("check", "--token=secret")),)))
    configured.tell(known)
    pod = container(memory=1)
    pod.id = "c2"
    pod.learn(Facts(checks=(), pod={"name": "p", "namespace": "n", "uid": None}))
    configured.tell(pod)
    assert [event["settings"]["checks"] for event in told] == [["check '***'"], None]


def test_the_kernel_says_which_namespaces_are_the_hosts_and_secrets_stay_here(configured, told):
    configured.tell(container(entrypoint=["run", "--token=secret"]))
    settings = told[0]["settings"]
    assert settings["host_namespaces"] == ["net", "pid"]
    assert settings["entrypoint"] == ["run", "***"]
    assert told[0]["missing"]["settings.ports"] == "unknown"


@pytest.mark.parametrize(
    "words",
    [
        ["-e", "KEY=hidden"],
        ["--env", "KEY=hidden"],
        ["--env=KEY=hidden"],
        ["-eKEY=hidden"],
        ["-ite=KEY=hidden"],
    ],
)
def test_a_clients_command_line_has_the_names_of_variables_and_no_values(words):
    shown = configured_module._without_values(["docker", "run", *words, "--name=web", "-d", "image", "a=b"])
    assert "hidden" not in str(shown)
    assert "KEY" in str(shown)
    assert [shown[:2], shown[-4:]] == [["docker", "run"], ["--name=web", "-d", "image", "a=b"]]


class Daemons:
    """Answers who was connected, by the daemon that is asked."""

    def __init__(self, **clients):
        self.clients = clients

    def of_daemon_at(self, place, _at):
        return Asked(None, self.clients[place])


def test_who_made_it_was_connected_to_the_daemon_that_told_of_it_first(told):
    client = {"caller": {"argv": ["docker", "run"], "comm": "docker"}}
    other = {"caller": {"argv": ["docker", "update"], "comm": "docker"}}
    asking = Daemons(docker=[client], containerd=[], later=[other])
    configured = Configured(lambda: "h/b/1", told.append, lambda argv: (argv, False), HOST, asking)
    configured.said("c1", "create", "docker", 1)
    configured.said("c1", "create", "containerd", 2)
    configured.started("c1")
    configured.tell(container(memory=1))
    configured.said("c1", "start", "docker", 3)
    configured.said("c1", "update", "later", 4)
    configured.tell(container(memory=2))
    assert [event["told"] for event in told] == [["create", "create"], ["update"]]
    assert [event["clients"] for event in told] == [[client], [other]]
