# SPDX-License-Identifier: Apache-2.0
"""Waits are bounded, random, and follow what the other side asks for."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.backoff import MAX_ASKED_S, Backoff, asked_s


@given(st.integers(1, 2000))
def test_a_wait_is_never_longer_than_the_ceiling(failures):
    backoff = Backoff(0.5, 60)
    backoff.failures = failures
    assert 0 <= backoff.failed() <= 60


def test_waits_grow_and_begin_anew_after_a_success():
    backoff = Backoff(1, 1000)
    bounds = [max(_waits(backoff, failures)) for failures in (0, 3, 6)]
    assert bounds[0] <= 1
    assert bounds[0] < bounds[1] < bounds[2]
    backoff.succeeded()
    assert backoff.failed() <= 1


def _waits(backoff: Backoff, failures: int) -> list[float]:
    found = []
    for _ in range(300):
        backoff.failures = failures
        found.append(backoff.failed())
    return found


def test_sensors_that_fail_together_do_not_come_back_together():
    assert len({Backoff(10, 60).failed() for _ in range(50)}) == 50


def test_a_retry_after_is_waited_for():
    assert 7 <= Backoff(0.5, 60).failed("7") <= 7.5


def test_a_retry_after_may_be_a_date():
    assert 50 < asked_s(formatdate(time.time() + 60, usegmt=True)) <= 61
    assert asked_s(formatdate(time.time() - 60, usegmt=True)) == 0


@pytest.mark.parametrize("header", ["99999999999999999999", formatdate(time.time() + 10**8, usegmt=True)])
def test_nobody_can_silence_a_sensor_for_long(header):
    assert asked_s(header) == MAX_ASKED_S


@given(st.text(max_size=40) | st.none())
def test_any_header_gives_a_bounded_wait(header):
    assert 0 <= asked_s(header) <= MAX_ASKED_S
