# SPDX-License-Identifier: Apache-2.0
"""What differs between two configurations: everything that was set, and nothing that was made up."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect.difference import MAX_SUMMARY, change_text, changes, setting_text, summary

ONE, TWO = "a1" * 32, "b2" * 32
UID = "7e9df2e7-3102-445c-95b4-61d527596{}"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**62) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.sampled_from(["memory", "mounts", "entrypoint", "environment", "name"]), VALUES)


def mount(source):
    return {"source": source, "target": "/x", "writable": True}


@given(SETTINGS)
def test_nothing_differs_from_itself(settings):
    assert changes(settings, deepcopy(settings)) == []
    assert changes(settings, deepcopy(settings), replaced=True) == []


@given(SETTINGS, SETTINGS)
def test_each_difference_has_both_values_as_they_are_and_back_is_the_same_with_the_sides_changed(one, other):
    there, back = changes(one, other), changes(other, one)
    assert all(each["before"] == one[each["setting"]] for each in there)
    assert all(each["after"] == other[each["setting"]] for each in there)
    assert {each["setting"] for each in there} == {each["setting"] for each in back}
    assert {each["setting"] for each in changes(one, other, replaced=True)} <= {
        each["setting"] for each in there
    }


@given(SETTINGS, SETTINGS)
def test_what_is_shown_of_it_is_bounded_and_printable(one, other):
    shown = summary(changes(one, other))
    assert len(shown) <= MAX_SUMMARY
    assert shown.isprintable()


@given(st.dictionaries(st.sampled_from(["memory", "ports"]), st.none() | st.integers(0, 9)))
def test_what_is_not_known_has_not_changed(settings):
    assert changes(settings, dict.fromkeys(settings)) == changes(dict.fromkeys(settings), settings) == []


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/docker/containers/{}/hosts".format,
        "/var/lib/docker/volumes/{}/_data".format,
        lambda each: f"/var/lib/kubelet/pods/{UID.format(each[:3])}/volumes/data",
        lambda each: f"/pods/p/volumes/kubernetes.io~projected/kube-api-access-{each[:5]}",
        lambda each: f"/pods/p/containers/app/{each[:8]}",
    ],
)
def test_what_is_made_up_for_each_container_is_no_difference_between_two_and_one_within_one(path):
    before, after = {"mounts": [mount(path(ONE))]}, {"mounts": [mount(path(TWO))]}
    assert changes(before, after, replaced=True) == []
    assert len(changes(before, after)) == 1
    elsewhere = {"mounts": [{**mount(path(TWO)), "target": "/y"}]}
    assert len(changes(before, elsewhere, replaced=True)) == 1


def test_variables_of_services_are_the_kubelets_and_others_are_told():
    before = {"environment": ["PATH"]}
    services = {"environment": ["CART_PORT_80_TCP_ADDR", "CART_SERVICE_HOST", "PATH"]}
    assert changes(before, services, replaced=True) == []
    assert len(changes(before, {"environment": ["LD_PRELOAD", "PATH"]}, replaced=True)) == 1


def test_another_image_is_told_by_its_digest_and_another_name_of_another_container_is_not():
    before = {"image_digest": f"sha256:{ONE}", "name": "web-1"}
    after = {"image_digest": f"sha256:{TWO}", "name": "b"}
    assert [each["setting"] for each in changes(before, after, replaced=True)] == ["image_digest"]


@pytest.mark.parametrize(
    ("setting", "before", "after", "said"),
    [
        ("memory", 2**26, 2**27, "memory 64 MiB -> 128 MiB"),
        ("networks", ["bridge"], ["back", "bridge"], "networks added back"),
        ("capabilities", ["A", "B"], ["B", "C"], "capabilities added C and removed A"),
        ("mounts", [], [mount("/run/docker.sock")], "mounts added /run/docker.sock at /x"),
        ("entrypoint", ["a", "b"], ["a", "c"], "entrypoint a, b -> a, c"),
        ("restart", "no", "always", "restart no -> always"),
    ],
)
def test_a_difference_is_said_as_a_person_reads_it(setting, before, after, said):
    assert change_text({"setting": setting, "before": before, "after": after}) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("memory", 2**29, "512 MiB"),
        ("cpus", 1_500_000_000, "1.5"),
        ("pids", 0, "no limit"),
        ("privileged", False, "no"),
        ("ports", None, "unknown"),
        ("ports", [], "none"),
        ("mounts", [{"source": "/a", "target": "/b", "writable": False}], "/a at /b (read-only)"),
    ],
)
def test_a_setting_is_said_as_a_person_reads_it(name, value, said):
    assert setting_text(value, name) == said
