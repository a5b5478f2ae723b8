# SPDX-License-Identifier: Apache-2.0
"""What sessions left out is told by container, each command once, and the sum is the kernel's."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sensor.entry.left_out import LEFT_OUT, LeftOut

WEB, DB = "a" * 64, "b" * 64


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def left_out(told: list[Any]) -> LeftOut:
    numbers = itertools.count(1)
    return LeftOut(lambda: f"host/boot/{next(numbers)}", told.append)


def by_container(told: list[Any]) -> dict[str | None, int]:
    assert {event["cause"] for event in told} == {LEFT_OUT}
    return {event.get("container_id"): event["count"] for event in told}


def test_sessions_of_a_container_are_one_loss(left_out: LeftOut, told: list[Any]) -> None:
    for cookie, container in ((1, WEB), (2, WEB), (3, DB)):
        left_out.entered(cookie, container)
    left_out.tell({1: 10, 2: 5, 3: 7}, 22)
    assert by_container(told) == {WEB: 15, DB: 7}


def test_only_what_is_new_is_told(left_out: LeftOut, told: list[Any]) -> None:
    left_out.entered(1, WEB)
    left_out.tell({1: 10}, 10)
    told.clear()
    left_out.tell({1: 12}, 2)
    assert by_container(told) == {WEB: 2}


def test_what_belongs_to_no_known_container_is_told_as_of_none(left_out: LeftOut, told: list[Any]) -> None:
    left_out.entered(1, WEB)
    left_out.entered(2, None)
    left_out.tell({1: 10, 2: 3, 99: 4}, 17)
    assert by_container(told) == {WEB: 10, None: 7}
