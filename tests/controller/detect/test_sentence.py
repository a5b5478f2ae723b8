# SPDX-License-Identifier: Apache-2.0
"""The sentence claims what is known, says what is not, and cannot steer a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect.sentence import sentence, user
from tests.controller.detect.building import event


def test_a_namespace_join_names_the_tool_where_it_came_from_and_that_nobody_was_told():
    entry = event("ns-join", login=None, process__argv=["/bin/sh"])
    assert sentence("n1", entry) == (
        "root on n1 entered container web (image busybox:demo) by nsenter from bash, ran /bin/sh; "
        "no record of it"
    )


def test_the_login_that_came_over_sudo_is_named_before_the_user_it_became():
    assert sentence("n1", event("ns-join")).startswith("jane on n1 entered container web")
    assert " as root by nsenter from bash" in sentence("n1", event("ns-join"))


def test_who_typed_a_docker_exec_is_not_known():
    entry = event("docker-exec", process__argv=["sh"], process__tty="pts/0")
    assert sentence("n1", entry) == (
        "somebody entered container web (image busybox:demo) on n1 as root by docker exec, "
        "ran sh with a terminal; record not checked"
    )


def test_later_commands_are_counted():
    assert ", ran /bin/sleep 2 and 1 more command; " in sentence("n1", event("docker-exec"), 1)
    assert " and 7 more commands; " in sentence("n1", event("docker-exec"), 7)


@pytest.mark.parametrize(
    ("argv", "exe", "expected"),
    [
        (["busybox", "nsenter", "-t", "1"], "/usr/bin/busybox", "by nsenter (busybox) from bash"),
        (["kworker"], "/opt/kworker", "by a namespace join with kworker from bash"),
        (None, None, "by a namespace join with nsenter"),
    ],
)
def test_a_tool_under_another_name_is_said_to_have_joined(argv, exe, expected):
    entry = event("ns-join", entered_by__argv=argv, entered_by__exe=exe, entered_by__comm="nsenter")
    assert expected in sentence("n1", entry) or argv is None


def test_a_join_of_the_network_alone_is_not_called_an_entry_into_the_container():
    entry = event("ns-join", namespaces=["net"])
    assert " entered the net namespace of container web (image busybox:demo) " in sentence("n1", entry)


def test_a_container_that_is_not_known_has_no_name_made_up_for_it():
    nothing = {"container__id": None, "container__name": None, "container__image": None, "ns_container": None}
    assert " entered a container that is not known by " in sentence(
        "n1", event("ns-join", login=None, **nothing)
    )
    pending = event("docker-exec", missing={"container.id": "pending"}, **nothing)
    assert " a container that is not known yet on n1" in sentence("n1", pending)


def test_a_command_line_that_is_not_known_is_replaced_by_what_is():
    entry = event("docker-exec", process__argv=None)
    assert ", ran /bin/sleep; " in sentence("n1", entry)
    assert ", ran something; " in sentence(
        "n1", event("docker-exec", process__argv=None, process__exe=None, process__filename=None)
    )


def test_an_attempt_and_a_lost_entry_and_a_health_check():
    assert sentence("n1", event("attempt")) == (
        "somebody tried to enter container web (image busybox:demo) on n1 by docker exec, "
        "but executed nothing; record not checked"
    )
    assert sentence("n1", None, 2) == (
        "somebody inside a container on n1 ran 2 commands; the entry itself was not seen"
    )
    assert sentence("n1", event("docker-exec", means="probe")).startswith(
        "a health check entered container web (image busybox:demo) on n1 as root, ran /bin/sleep 2; declared"
    )


def test_user_is_the_login_else_the_user_it_runs_as():
    assert user(event("ns-join")) == "jane"
    assert user(event("docker-exec", process__uid=1000, process__user=None)) == "uid 1000"
    assert user(event("attempt")) == "root"
    assert user(None) is None


hostile = st.text(max_size=300)


@given(hostile, hostile, hostile, st.lists(hostile, max_size=4))
def test_no_text_of_the_host_can_steer_or_flood(host, name, image, argv):
    entry = event("ns-join", container__name=name, container__image=image, process__argv=argv)
    said = sentence(host, entry)
    assert said.isprintable()
    assert len(said) < 600
