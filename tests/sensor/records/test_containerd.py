# SPDX-License-Identifier: Apache-2.0
"""What containerd's events say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich import protobuf
from sensor.records.containerd import parse


def envelope(topic, fields, namespace="k8s.io", seconds=1_795_486_216, nanos=7):
    wrapped = {1: "containerd.events.X", 2: protobuf.pack(fields)}
    return protobuf.pack({1: {1: seconds, 2: nanos}, 2: namespace, 3: topic, 4: wrapped})


def said(message):
    return parse(message, "/run/containerd/containerd.sock", 0)


def test_an_exec_that_was_started_has_its_id_and_the_hosts_pid():
    made = said(envelope("/tasks/exec-started", {1: "c1", 2: "e1", 3: 13533}))
    assert (made.action, made.container, made.exec_id, made.pid) == ("exec_start", "c1", "e1", 13533)
    assert made.time == 1_795_486_216_000_000_007
    assert made.detail == {"namespace": "k8s.io"}


def test_the_end_of_an_exec_is_told_from_the_end_of_the_container():
    ended = said(envelope("/tasks/exit", {1: "c1", 2: "e1", 3: 5, 4: 3}))
    assert (ended.action, ended.exec_id, ended.code) == ("exec_die", "e1", 3)
    ended = said(envelope("/tasks/exit", {1: "c1", 2: "c1", 3: 5}))
    assert (ended.action, ended.exec_id, ended.code) == ("die", None, 0)


def test_a_start_has_the_pid_of_the_first_process():
    assert said(envelope("/tasks/start", {1: "c1", 2: 77})).pid == 77


@pytest.mark.parametrize("topic", ["/images/create", "/tasks/delete", ""])
def test_what_is_no_record_is_passed_by(topic):
    assert said(envelope(topic, {1: "c1"})) is None


@given(st.binary(max_size=200))
def test_bytes_that_are_no_event_are_refused_and_nothing_else(data):
    try:
        said(data)
    except ValueError:
        return
