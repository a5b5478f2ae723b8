# SPDX-License-Identifier: Apache-2.0
"""Each configuration of a container is kept once, with what differs from the one before; bounded."""

from __future__ import annotations

import pytest

from controller.store import configurations, containers
from tests.controller import make


def kept(store):
    with store.read() as connection:
        return configurations.list_(connection, make.HOST, make.CONTAINER)


def test_a_change_says_before_and_after_whatever_the_order_of_arrival(store, take):
    later = make.configuration(60, "changed", memory=512, ports=["0.0.0.0:1->1/tcp"])
    take(later, make.configuration(2, memory=0, ports=None), later)

    now, first = kept(store)
    assert now["changes"] == [{"setting": "memory", "before": 0, "after": 512}]
    assert (now["because"], first["because"], first["changes"]) == ("changed", "start", [])
    assert "has CAP_SYS_ADMIN" in now["exposures"]


def test_a_container_that_is_known_by_its_configuration_alone_is_listed(store, take):
    take(make.configuration(2))
    with store.read() as connection:
        assert containers.show(connection, make.CONTAINER)["name"] == "web"


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
    assert configurations.setting_text(value, name) == said


def test_ever_new_configurations_are_bounded(store, take):
    take(*(make.configuration(at, memory=at) for at in range(1, configurations.MAX_KEPT + 10)))

    found = kept(store)
    assert len(found) == configurations.MAX_KEPT
    assert found[0]["settings"]["memory"] == configurations.MAX_KEPT + 9
