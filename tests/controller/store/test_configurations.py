# SPDX-License-Identifier: Apache-2.0
"""Each configuration of a container is kept once, with what differs from the one before; bounded."""

from __future__ import annotations

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


def test_ever_new_configurations_are_bounded(store, take):
    take(*(make.configuration(at, memory=at) for at in range(1, configurations.MAX_KEPT + 10)))

    found = kept(store)
    assert len(found) == configurations.MAX_KEPT
    assert found[0]["settings"]["memory"] == configurations.MAX_KEPT + 9


def other(sequence, **settings):
    """Another container by the same name."""
    made = make.configuration(sequence, **settings)
    return {**made, "container": make.container(id="d" * 64)}


def compared(store, event):
    with store.read() as connection:
        return configurations.before(connection, make.HOST, event)


def test_a_container_is_compared_with_itself_else_with_the_one_whose_name_it_took(store, take):
    take(make.configuration(2, memory=1))
    assert compared(store, make.configuration(3))["replaces"] is None
    assert compared(store, other(4))["replaces"] == make.CONTAINER
    elsewhere = {**other(4), "container": make.container(id="d" * 64, name="db")}
    assert compared(store, elsewhere) is None
    take(other(5))
    assert compared(store, other(6))["replaces"] is None


def test_of_copies_that_run_side_by_side_one_that_is_alike_counts(store, take):
    def copy(sequence, id_, memory):
        pod = {"name": f"cart-{id_}", "namespace": "shop", "uid": None}
        labels = {"app": "cart", "io.kubernetes.container.name": "app"}
        container = make.container(id=id_ * 64, name="app", pod=pod, labels=labels)
        return {**make.configuration(sequence, memory=memory), "container": container}

    take(copy(2, "1", 100), copy(3, "2", 200))
    assert compared(store, copy(4, "3", 100))["replaces"] == "1" * 64
    assert compared(store, copy(4, "3", 300))["replaces"] == "2" * 64


def test_a_sandbox_of_a_pod_takes_nobodys_place():
    pod = {"name": "cart-1", "namespace": "shop", "uid": None}
    assert configurations.slot(make.container(name=None, pod=pod)) is None
