# SPDX-License-Identifier: Apache-2.0
"""A check that is due is admitted; one too many run is told, whichever of the two it is."""

from __future__ import annotations

import pytest

from sensor.enrich.facts import ANY_TIME, Pace
from sensor.enrich.inside import Own
from sensor.enrich.known import Known
from sensor.entry import rhythm
from sensor.entry.rhythm import Rhythm

S = 1_000_000_000
DOCKER = Pace(10 * S)
KUBELET = Pace(10 * S, ticks=True)


def known(*, changed: bool = False, start: int = 0) -> Known:
    made = Known("a" * 64, 900, start, {}, "docker", None)
    made.changed = changed
    return made


def admitted(pace: Pace, *seconds: float, container: Known | None = None) -> list[float]:
    """Which of these moments are due, in the order in which they are decided."""
    kept, check, one = Rhythm(), Own(("id",), 0, "/", pace), container or known()
    return [at for at in seconds if kept.admits(one, 0, check, int(at * S))]


def test_dockers_checks_are_at_least_a_period_apart() -> None:
    assert admitted(DOCKER, 0, 10, 20.3, 31, 300) == [0, 10, 20.3, 31, 300]
    assert admitted(DOCKER, 0, 9.9, 10, 15, 20) == [0, 10, 20]


def test_a_run_before_the_check_is_told_by_the_check_that_follows() -> None:
    assert admitted(DOCKER, 0, 10.2, 10.3, 20.4) == [0, 10.2, 20.4]


def test_the_beginning_has_a_period_of_its_own() -> None:
    pace = Pace(30 * S, first_period=5 * S, first_for=20 * S)
    assert admitted(pace, 5, 10, 12, 15, 20, 25, 30, 56, 86) == [5, 10, 15, 20, 25, 56, 86]
    assert admitted(pace, 5, 10, 15, container=known(start=-1000 * S)) == [5]


def test_the_kubelets_ticks_go_on_while_a_probe_is_late() -> None:
    assert admitted(KUBELET, 0.1, 10.4, 20, 39.5, 40.1, 50) == [0.1, 10.4, 20, 39.5, 40.1, 50]


def test_between_two_ticks_nothing_is_due() -> None:
    assert admitted(KUBELET, 0, 3, 5, 7, 10, 20) == [0, 10, 20]
    assert admitted(KUBELET, 0, 8, 10, 20) == [0, 8, 20]


def test_a_kubelet_that_was_away_is_owed_one_tick() -> None:
    assert admitted(KUBELET, 0, 10, 100, 101, 102, 110) == [0, 10, 100, 101, 110]


def test_a_hook_runs_once() -> None:
    assert admitted(Pace(once=True), 3, 4, 500) == [3]


def test_without_a_period_any_time_will_do() -> None:
    assert admitted(ANY_TIME, 1, 1.1, 7) == [1, 1.1, 7]


def test_the_first_run_of_a_changed_check_is_told() -> None:
    for pace in (DOCKER, KUBELET, ANY_TIME):
        assert admitted(pace, 0, 10, 20, container=known(changed=True)) == [10, 20]
    assert admitted(Pace(once=True), 0, 10, container=known(changed=True)) == []


def test_what_is_decided_late_is_measured_by_what_came_after() -> None:
    assert admitted(DOCKER, 20, 10, 15, 30) == [20, 10, 30]


def test_checks_and_containers_have_each_their_own() -> None:
    kept, check = Rhythm(), Own(("id",), 0, "/", DOCKER)
    again = known(start=5)
    assert kept.admits(known(), 0, check, 0)
    assert kept.admits(known(), 1, check, S)
    assert kept.admits(again, 0, check, S)
    assert not kept.admits(again, 0, check, 2 * S)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rhythm, "MAX_CHECKS", 2)
    kept, check, one = Rhythm(), Own(("id",), 0, "/", DOCKER), known()
    for number in range(3):
        assert kept.admits(one, number, check, 0)
    assert kept.admits(one, 0, check, 1)
    assert not kept.admits(one, 2, check, 1)
