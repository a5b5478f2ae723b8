# SPDX-License-Identifier: Apache-2.0
"""What is read of an event once: the same answer, and never another event's."""

from __future__ import annotations

from controller.detect.once import LONG, MOST, once
from tests.controller.make import command


def counted():
    asked = []

    @once
    def read(event):
        asked.append(event["id"])
        return event["process"]["argv"]

    return read, asked


def test_it_is_read_once_however_many_ask():
    read, asked = counted()
    event = command(1, "id")
    assert [read(event), read(event)] == [["id"], ["id"]]
    assert len(asked) == 1


def test_an_event_that_has_learned_more_is_read_anew():
    read, _asked = counted()
    event = command(1, "id")
    read(event)
    assert read({**event, "process": {**event["process"], "argv": ["id", "-u"]}}) == ["id", "-u"]


def test_what_is_remembered_is_bounded_and_the_identity_of_one_that_is_gone_is_nobody_elses():
    read, _asked = counted()
    for number in range(3 * MOST):
        assert read(command(number, str(number))) == [str(number)]
    assert len(read._kept) <= MOST


def test_of_long_command_lines_only_the_latest_is_remembered():
    read, asked = counted()
    first, second = (command(number, "x" * (LONG + 1)) for number in (1, 2))
    for event in (first, first, second, second):
        read(event)
    assert len(asked) == 2
    assert not read._kept
