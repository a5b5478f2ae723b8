# SPDX-License-Identifier: Apache-2.0
"""One visit, one alert: what it says depends on the set of its findings alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.detect import alerts
from controller.detect.rule import Severity
from controller.detect.visits import Visited
from tests.controller.detect.building import event, raised

findings = st.lists(
    st.builds(
        raised,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(Severity),
        st.integers(1, 4),
        st.sampled_from(["x", "y"]),
    ),
    max_size=12,
)
TITLES = {"a": "A thing", "b": "Bee", "c": "Sea"}


@given(findings.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_findings_changes_nothing(pair):
    found, shuffled = pair
    assert alerts.merge(found) == alerts.merge(shuffled)


@given(findings)
def test_the_same_findings_again_change_nothing(found):
    once = alerts.merge(found)
    assert alerts.merge((*once, *found)) == once == alerts.judged_again(once, found)


@given(findings, findings)
def test_what_is_added_never_makes_an_alert_less_grave(found, more):
    before = max((each.severity for each in alerts.merge(found)), default=0)
    after = alerts.judged_again(alerts.merge(found), more)
    assert max((each.severity for each in after), default=0) >= before
    assert {(each.detection, each.event) for each in after} == {
        (each.detection, each.event) for each in (*found, *more)
    }


@given(findings.filter(bool).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_title_does_not_depend_on_the_order_either(pair):
    found, shuffled = pair
    assert alerts.title(found, TITLES, "web") == alerts.title(shuffled, TITLES, "web")


def test_the_title_is_the_gravest_finding_s_and_of_equals_the_first():
    found = [raised("a", Severity.LOW, 1), raised("b", Severity.HIGH, 3), raised("c", Severity.HIGH, 2)]
    assert alerts.title(found, TITLES, "web") == "Sea: web"


def test_two_that_are_equally_grave_on_one_event_are_named_together():
    found = [raised("b", Severity.HIGH), raised("a", Severity.HIGH)]
    assert alerts.title(found, TITLES, "web") == "A thing, bee: web"


def test_a_detection_that_is_gone_is_called_by_its_id():
    assert alerts.title([raised("gone", Severity.LOW)], TITLES, "web") == "gone: web"


def test_a_finding_that_is_judged_again_says_what_is_known_now():
    """Of equal gravity the new words stand; a lesser judgement does not take back what was found."""
    old = alerts.merge([raised("a", Severity.MEDIUM, 1, "zzz")])
    assert alerts.judged_again(old, [raised("a", Severity.MEDIUM, 1, "aaa")])[0].reason == "aaa"
    assert alerts.judged_again(old, [raised("a", Severity.LOW, 1, "aaa")]) == old


def test_a_health_check_s_own_command_is_no_news_but_a_credential_in_it_is():
    probe = event("docker-exec", means="probe")
    found = [raised("a", Severity.MEDIUM), raised("b", Severity.HIGH)]
    assert alerts.admit(probe, (), found) == ([found[1]], 0)
    assert alerts.admit(event("docker-exec"), (), found) == (found, 0)
    assert alerts.admit(None, (), found) == (found, 0)


def test_a_loop_of_findings_is_bounded_and_what_is_left_out_is_counted():
    many = [raised("a", Severity.LOW, number) for number in range(1, 200)]
    taken, left_out = alerts.admit(None, (), many)
    assert len(taken) == alerts.MAX_PER_DETECTION
    assert left_out == len(many) - len(taken)
    graver = raised("a", Severity.HIGH, 999)
    assert alerts.admit(None, taken, [graver]) == ([graver], 0)
    other = raised("b", Severity.LOW, 999)
    assert alerts.admit(None, taken, [other]) == ([other], 0)


def test_an_alert_tells_the_visit():
    visited = Visited("h1/b1/1")
    visited.add(event("docker-exec"))
    visited.findings = (raised("a", Severity.LOW),)
    alert = alerts.describe(visited, "h1", "node1", TITLES)
    assert (alert.title, alert.means, alert.container_name) == ("A thing: web", "docker-exec", "web")
    assert (alert.image, alert.user, alert.events) == ("busybox:demo", "root", 1)


def test_an_alert_without_its_entry_says_so():
    visited = Visited("h1/b1/1")
    visited.add(event("command", 2))
    visited.findings = (raised("a", Severity.LOW, 2),)
    alert = alerts.describe(visited, "h1", "node1", TITLES)
    assert alert.means == "unknown"
    assert alert.container is alert.user is None
    assert "the entry itself was not seen" in alert.sentence
