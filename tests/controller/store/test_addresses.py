# SPDX-License-Identifier: Apache-2.0
"""An address is a container's where that is sure: on the same host, or between pods; else nobody's."""

from __future__ import annotations

import pytest

from controller.store import addresses, project
from tests.controller import make
from tests.controller.conftest import add_host

OTHER = "1" * 16
POD = {"name": "db-0", "namespace": "shop", "uid": None}


@pytest.fixture
def fleet(store, host):
    """A function that projects starts of containers: of each a host, an id, a name, addresses, a pod."""
    store.write(lambda connection: add_host(connection, OTHER, "n2"))
    at = iter(range(1, 100))

    def started(of, id_, name, where, pod=None, kind=make.start):
        box = {**make.container(), "id": id_ * 64, "name": name, "addresses": where, "pod": pod}
        number = next(at)
        event = {**kind(number, container=box), "id": make.event_id(number, of)}
        store.write(lambda connection: project.apply(connection, of, event))

    return started


@pytest.fixture
def holder(store):
    def asked(address, *, pod=False, time=make.BEGIN + 99 * make.SECOND):
        with store.read() as connection:
            found = addresses.holder(connection, address, (make.HOST, pod), time)
        return found and (found["name"], found["host"])

    return asked


def test_a_bridges_address_is_the_container_of_the_same_host(fleet, holder):
    """Each host has its 172.17.0.2."""
    fleet(make.HOST, "a", "web", ["172.17.0.2", "2001:db8::2"])
    fleet(OTHER, "b", "other", ["172.17.0.2", "172.17.0.3"])
    assert holder("172.17.0.2") == holder("2001:db8::2") == ("web", "n1")
    assert holder("172.17.0.3") is None
    assert holder("172.17.0.3", pod=True) is None, "it is no pod"
    assert holder("172.17.0.9") is None


def test_a_pod_is_found_on_another_host_by_another_pod(fleet, holder):
    fleet(OTHER, "b", "db", ["10.244.1.5"], POD)
    assert holder("10.244.1.5", pod=True) == ("db", "n2")
    assert holder("10.244.1.5") is None


def test_of_two_that_it_may_be_none_is_named_and_of_one_pod_the_pod(fleet, holder):
    fleet(make.HOST, "a", "web", ["172.17.0.2"])
    fleet(make.HOST, "b", "web2", ["172.17.0.2"])
    fleet(make.HOST, "c", "db", ["10.244.0.5"], POD)
    fleet(make.HOST, "d", "POD", ["10.244.0.5"], POD)
    assert holder("172.17.0.2") is None
    assert holder("10.244.0.5") == ("shop/db-0", "n1")


def test_an_address_goes_with_its_container_and_stays_in_what_was_before(fleet, holder):
    fleet(make.HOST, "a", "old", ["172.17.0.2"])
    fleet(make.HOST, "a", "old", ["172.17.0.2"], kind=make.stop)
    fleet(make.HOST, "b", "new", ["172.17.0.2"])
    assert holder("172.17.0.2") == ("new", "n1")


def test_a_container_that_has_other_addresses_now_has_lost_the_former(fleet, holder):
    fleet(make.HOST, "a", "web", ["172.17.0.2"])
    fleet(make.HOST, "a", "web", ["172.18.0.7"])
    assert holder("172.17.0.2") is None
    assert holder("172.18.0.7") == ("web", "n1")
