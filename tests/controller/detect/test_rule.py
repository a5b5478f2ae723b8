# SPDX-License-Identifier: Apache-2.0
"""Readings of an event: what is not known gives no evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect.rule import Visit, capability_names, configured_as_root, mask, value_at
from tests.controller.detect.building import command, event


def test_capabilities_are_named_by_number_and_new_ones_are_not_lost():
    assert capability_names(0) == ()
    assert capability_names(1 << 0 | 1 << 21 | 1 << 40) == (
        "CAP_CHOWN",
        "CAP_SYS_ADMIN",
        "CAP_CHECKPOINT_RESTORE",
    )
    assert capability_names(1 << 41) == ("CAP_41",)


@given(st.integers(0, 2**64 - 1))
def test_every_bit_has_one_name(bits):
    names = capability_names(bits)
    assert len(set(names)) == len(names) == bits.bit_count()


def test_docker_s_default_set_is_fourteen_capabilities():
    """As Docker's documentation lists them."""
    bits = mask("00000000a80425fb")
    assert bits is not None
    assert len(capability_names(bits)) == 14


@pytest.mark.parametrize("text", [None, "", "zz"])
def test_a_mask_that_is_none_is_not_known(text):
    assert mask(text) is None


@pytest.mark.parametrize(
    ("user", "expected"),
    [(None, None), ("", True), ("0:0", True), ("root", True), ("app", False), ("1000:0", False)],
)
def test_the_configured_user_is_root_another_or_not_known(user, expected):
    container = {**event("docker-exec")["container"], "user": user}
    assert configured_as_root(container) is expected


def test_a_path_that_leads_nowhere_has_no_value():
    entry = event("docker-exec")
    assert value_at(entry, "container.name") == "web"
    assert value_at(entry, "container.name.first") is None
    assert value_at(entry, "pod.name") is None


def test_a_visit_knows_its_means_and_what_came_before():
    entry, first, second = event("docker-exec"), command(2, "id"), command(3, "ps")
    visit = Visit("s", entry, (entry, first, second))
    assert visit.means == "docker-exec"
    assert visit.before(second) == (entry, first)
    assert Visit("s", None).means == "unknown"
